"""The first page someone sees: what this is, how to sign in, where to look. Nothing on it comes from elsewhere."""

from __future__ import annotations

from html import escape

from services.settings import Runtime, Settings

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Imprimatur</title>
<style>
  body {{ font: 17px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem; color: #1d2733 }}
  h1 {{ font-weight: 600; letter-spacing: .01em }}
  code, pre {{ background: #f1f3f6; border-radius: 4px; padding: .1em .35em }}
  pre {{ padding: .8em 1em; overflow-x: auto }}
  a {{ color: #0b5cad }}
</style>
</head>
<body>
<main>
<h1>Imprimatur</h1>
<p>The system that runs a library's social media policy: every request, decision and refusal is on record, with the
clause it rests on.</p>
<h2>Sign in</h2>
<p>Whoever runs this installation makes a bearer token for a person of the staff directory:</p>
<pre>imprimatur token --as p-ed</pre>
<p>and sends it with each call:</p>
<pre>curl -H "Authorization: Bearer $TOKEN" {base}/api/v1/inbox</pre>
<h2>Where to look</h2>
<ul>
<li><a href="/openapi.json">the HTTP interface</a> (OpenAPI)</li>
<li><a href="/readyz">how the system stands</a></li>
{temporal}
</ul>
</main>
</body>
</html>
"""


def front_page(settings: Settings) -> str:
    ui = Runtime(settings.data).read().get("temporal_ui")
    temporal = f'<li><a href="{escape(ui)}">the running workflows</a> (Temporal)</li>' if ui else ""
    return PAGE.format(base=escape(settings.public_url), temporal=temporal)

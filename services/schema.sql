-- The log and what stands beside it. Owned by the migrator; everything the system runs as may add and read, never
-- change or remove. Run again at every start: each statement leaves what is there alone.

create schema if not exists ledger;
create schema if not exists keys;
create schema if not exists views;

-- The columns that the eventsourcing library reads, then copies of the envelope for searching. Only notification_id
-- (the log position) and recorded_at are the database's own; all else stands in `state`, which is the truth.
create table if not exists ledger.events (
    originator_id      text        not null,
    originator_version bigint      not null,
    topic              text        not null,
    state              bytea       not null,
    notification_id    bigint      not null,
    recorded_at        timestamptz not null,
    event_id           text        not null,
    at                 timestamptz not null,
    occurred_at        timestamptz not null,
    actor              text        not null,
    on_behalf_of       text        not null,
    role               text        not null,
    place              text        not null,
    channel            text        not null,
    command_id         text        not null,
    cause              text        not null,
    correlation        text        not null,
    policy             text        not null,
    read_up_to         bigint      not null,
    clauses            text[]      not null,
    shared             boolean     not null,
    primary key (originator_id, originator_version)
);
create unique index if not exists events_log_position on ledger.events (notification_id);
create index if not exists events_shared on ledger.events (notification_id) where shared;

-- One row per command that was answered. The key is sender and id; the hash tells a repetition from a conflict.
create table if not exists ledger.commands (
    sender       text   not null,
    command_id   text   not null,
    content_hash text   not null,
    stream       text   not null,
    first        bigint not null,
    last         bigint not null,
    refusal      jsonb,
    primary key (sender, command_id)
);

-- Which log position last changed a scope of the library, a claim or a stream that decisions read.
create table if not exists ledger.scopes (
    scope    text   not null,
    position bigint not null,
    primary key (scope, position)
);

-- Claims across streams: the newest row of a key says who holds it, or that nobody does.
create table if not exists ledger.claims (
    key      text    not null,
    position bigint  not null,
    step     integer not null,
    held_by  text,
    primary key (key, position, step)
);

create table if not exists ledger.evidence (
    sha256     text        primary key,
    size       bigint      not null,
    stored_at  timestamptz not null default clock_timestamp()
);

-- How many refused attempts were not written down: a tally until its hour is over, then an event.
create table if not exists ledger.suppressed (
    case_id text        not null,
    sender  text        not null,
    since   timestamptz not null,
    count   bigint      not null,
    primary key (case_id, sender, since)
);

-- Wrapping keys under the key-encryption key, which is not in this database.
create table if not exists keys.wrapping (
    key_id  text  primary key,
    wrapped bytea not null,
    kek     text  not null
);

create or replace function ledger.append_only() returns trigger language plpgsql set search_path = pg_catalog as $$
begin
    raise exception 'the log is append-only: % on %.% is not possible', tg_op, tg_table_schema, tg_table_name
        using errcode = 'insufficient_privilege';
end $$;

do $$
declare name text;
begin
    foreach name in array array['events', 'commands', 'scopes', 'claims', 'evidence'] loop
        if not exists (select from pg_trigger where tgname = 'append_only_rows'
                       and tgrelid = format('ledger.%I', name)::regclass) then
            execute format('create trigger append_only_rows before update or delete on ledger.%I
                            for each row execute function ledger.append_only()', name);
            execute format('create trigger append_only_table before truncate on ledger.%I
                            for each statement execute function ledger.append_only()', name);
            -- ALWAYS: also in a session that has set session_replication_role = replica
            execute format('alter table ledger.%I enable always trigger append_only_rows', name);
            execute format('alter table ledger.%I enable always trigger append_only_table', name);
        end if;
    end loop;
end $$;

-- Records one decision: command id, what it read, claims, events, in one transaction and one round trip.
-- The lock makes log order the order of commits, and makes every check below free of races.
-- Outcomes: recorded | known (first, last, refusal of the first answer) | conflict (same id, other content)
--           | moved (a scope it read changed) | behind (the stream went on) | claimed (another case holds a claim).
create or replace function ledger.record_decision_in_events(
    p_sender text, p_command_id text, p_content_hash text, p_refusal jsonb,
    p_reads text[], p_read_up_to bigint,
    p_streams text[], p_versions bigint[], p_topics text[], p_states bytea[], p_columns jsonb,
    p_claims text[], p_claimants text[], p_releases text[], p_touches text[]
) returns table (outcome text, first bigint, last bigint, refusal jsonb, recorded timestamptz, detail text)
language plpgsql set search_path = ledger, pg_catalog as $$
#variable_conflict use_column
declare
    v_known ledger.commands%rowtype;
    v_start bigint;
    v_now   timestamptz;
    v_found text;
begin
    set local lock_timeout = '20s';
    lock table ledger.events in exclusive mode;

    if p_command_id <> '' then
        select * into v_known from ledger.commands c where c.sender = p_sender and c.command_id = p_command_id;
        if found then
            if v_known.content_hash <> p_content_hash then
                return query select 'conflict', v_known.first, v_known.last, null::jsonb, null::timestamptz, v_known.stream;
            else
                return query select 'known', v_known.first, v_known.last, v_known.refusal, null::timestamptz, v_known.stream;
            end if;
            return;
        end if;
    end if;

    if cardinality(p_reads) > 0 then
        select s.scope into v_found from ledger.scopes s
            where s.scope = any (p_reads) and s.position > p_read_up_to limit 1;
        if found then
            return query select 'moved', null::bigint, null::bigint, null::jsonb, null::timestamptz, v_found;
            return;
        end if;
    end if;

    if cardinality(p_claims) > 0 then
        select k into v_found from unnest(p_claims, p_claimants) as wanted (k, who)
            where exists (
                select from (select c.held_by from ledger.claims c where c.key = wanted.k
                             order by c.position desc, c.step desc limit 1) as newest
                where newest.held_by is not null and newest.held_by <> wanted.who)
            limit 1;
        if found then
            return query select 'claimed', null::bigint, null::bigint, null::jsonb, null::timestamptz, v_found;
            return;
        end if;
    end if;

    if exists (select from unnest(p_streams, p_versions) as wanted (stream, version)
               join ledger.events e on e.originator_id = wanted.stream and e.originator_version = wanted.version) then
        return query select 'behind', null::bigint, null::bigint, null::jsonb, null::timestamptz, p_streams[1];
        return;
    end if;

    select coalesce(max(e.notification_id), 0) into v_start from ledger.events e;
    v_now := clock_timestamp();

    insert into ledger.events
    select p_streams[i], p_versions[i], p_topics[i], p_states[i], v_start + i, v_now,
           col ->> 'event_id', (col ->> 'at')::timestamptz, (col ->> 'occurred_at')::timestamptz,
           col ->> 'actor', col ->> 'on_behalf_of', col ->> 'role', col ->> 'place', col ->> 'channel',
           col ->> 'command_id', col ->> 'cause', col ->> 'correlation', col ->> 'policy',
           (col ->> 'read_up_to')::bigint,
           array (select jsonb_array_elements_text(col -> 'clauses')),
           (col ->> 'shared')::boolean
    from jsonb_array_elements(p_columns) with ordinality as c (col, i);

    if p_command_id <> '' then
        insert into ledger.commands values (p_sender, p_command_id, p_content_hash, p_streams[1],
            v_start + 1, v_start + cardinality(p_streams), p_refusal);
    end if;
    if cardinality(p_releases) > 0 then
        insert into ledger.claims select k, v_start + 1, i, null from unnest(p_releases) with ordinality as r (k, i);
    end if;
    if cardinality(p_claims) > 0 then
        insert into ledger.claims
        select k, v_start + 1, 1000000 + i, who from unnest(p_claims, p_claimants) with ordinality as r (k, who, i);
    end if;
    if cardinality(p_touches) > 0 then
        -- the first position of the append: whoever has read any event of it has read past this
        insert into ledger.scopes select distinct t, v_start + 1 from unnest(p_touches) as u (t);
    end if;
    notify ledger_events;
    return query select 'recorded', v_start + 1, v_start + cardinality(p_streams), p_refusal, v_now, null::text;
end $$;

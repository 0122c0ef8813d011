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
-- what is sealed cannot be compressed: an event of the usual size stands in its row as it is
) with (toast_tuple_target = 8160);
create unique index if not exists events_log_position on ledger.events (notification_id);
create index if not exists events_shared on ledger.events (notification_id) where shared;
create index if not exists events_attempts on ledger.events (actor, at) where topic = 'attempts.AttemptRefused';

-- One row per command that was answered. The key is sender and id; the hash tells a repetition from a conflict. An
-- answer without an event (nothing followed, or a refusal over the limit) has its `first` after its `last`.
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

-- Nothing is recorded by anyone else until the caller's transaction ends.
create or replace function ledger.hold_still() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '10s' as $$
begin
    lock table ledger.events in exclusive mode;
end $$;

drop function if exists ledger.record_decision_in_events(
    text, text, text, jsonb, text, bigint, text[], bigint, bytea[]);

-- Records one decision: command id, claims, scopes and events, in one transaction and one round trip. The only way into
-- the log: nobody but the owner of this function may insert. The stored bytes are all it is given of an event: stream,
-- position, columns, claims and scopes are copied from them here, so none of these can say anything else. `p_decision`
-- says whose command this answers (sender, command_id, content_hash, refusal) and what it was judged on (judged,
-- stood_at, reads, read_up_to).
--
-- The lock makes log order the order of commits, and makes every check below free of races. Outcomes: recorded
-- | answered (first, last, refusal and content hash of the first answer) | moved (a scope it read has changed)
-- | behind (a stream went on) | claimed (another case holds a claim). Only `recorded` has written anything; where it
-- changed what decisions know of the library, `detail` is the log position of the change before it.
create or replace function ledger.record_decision_in_events(
    p_decision json, p_states bytea[],
    out outcome text, out first bigint, out last bigint, out refusal text, out content_hash text,
    out recorded timestamptz, out detail text)
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '10s' as $$
#variable_conflict use_column
declare
    v_events ledger.events[];
    v_said   json;
    v_head   bigint;
    v_shared boolean;
    v_claims boolean;
    v_by     record;
    v_known  boolean;
    v_moved  text;
    v_next   bigint;
begin
    -- before the lock: nobody waits for the reading of bytes
    select * into v_by from json_to_record(p_decision) as d (
        sender text, command_id text, content_hash text, refusal jsonb, judged text, stood_at bigint, reads text[],
        read_up_to bigint);
    select array_agg(
               row (e."case", e.position, e.kind, s.state, s.nth, clock_timestamp(), e.event_id, e.at, e.occurred_at,
                    (e.actor ->> 'kind') || ':' || (e.actor ->> 'id'), e.on_behalf_of, e.role, e.place, e.channel,
                    e.command_id, e.cause, e.correlation, e.policy, e.read_up_to, e.clauses,
                    cardinality(e.touches) > 0)::ledger.events
               order by s.nth),
           json_agg(json_build_object('case', e."case", 'nth', s.nth, 'touches', e.touches, 'claims', e.claims,
                                      'releases', e.releases)),
           bool_or(cardinality(e.touches) > 0),
           bool_or(cardinality(e.claims) > 0 or cardinality(e.releases) > 0)
        into v_events, v_said, v_shared, v_claims
        from unnest(p_states) with ordinality as s (state, nth),
             json_to_record(convert_from(s.state, 'UTF8')::json) as e (
                "case" text, position bigint, kind text, event_id text, at timestamptz, occurred_at timestamptz,
                actor json, on_behalf_of text, role text, place text, channel text, command_id text, cause text,
                correlation text, policy text, read_up_to bigint, clauses text[], touches text[], claims text[],
                releases text[]);

    lock table ledger.events in exclusive mode;

    -- in one statement, since each has its price: the first answer, a scope that has moved, the stream's head, the log's
    select c.first, c.last, c.refusal::text, c.content_hash, c.stream, c.stream is not null,
           (select s.scope from ledger.scopes s
                where s.scope = any (v_by.reads) and s.position > v_by.read_up_to limit 1),
           (select coalesce(max(e.originator_version), 0) from ledger.events e where e.originator_id = v_by.judged),
           (select coalesce(max(e.notification_id), 0) + 1 from ledger.events e)
        into first, last, refusal, content_hash, detail, v_known, v_moved, v_head, v_next
        from (select) as one left join ledger.commands c
            on v_by.command_id <> '' and c.sender = v_by.sender and c.command_id = v_by.command_id;

    if v_known then
        outcome := 'answered';
        return;
    end if;

    if v_moved is not null then
        outcome := 'moved';
        detail := v_moved;
        return;
    end if;

    if v_by.judged <> '' and v_head <> v_by.stood_at then
        outcome := 'behind';
        detail := v_by.judged;
        return;
    end if;
    if (v_events[1]).originator_id <> v_by.judged or (v_events[1]).originator_version <> v_by.stood_at + 1 then
        select max(e.originator_version) into v_head
            from ledger.events e where e.originator_id = (v_events[1]).originator_id;
        if coalesce(v_head, 0) <> (v_events[1]).originator_version - 1 then
            outcome := 'behind';
            detail := (v_events[1]).originator_id;
            return;
        end if;
    end if;

    first := v_next;
    last := first + cardinality(p_states) - 1;

    if v_claims then
        select k into detail
            from json_to_recordset(v_said) as e ("case" text, claims text[]), unnest(e.claims) as k
            where e."case" <> (select c.held_by from ledger.claims c where c.key = k
                               order by c.position desc, c.step desc limit 1)
            limit 1;
        if found then
            outcome := 'claimed';
            first := null;
            last := null;
            return;
        end if;

        -- what one event releases, a later one of the same append may claim
        insert into ledger.claims
            select k.key, first, 2 * e.nth + k.claimed::integer, case when k.claimed then e."case" end
            from json_to_recordset(v_said) as e ("case" text, nth integer, claims text[], releases text[]),
                 lateral (select distinct unnest(e.releases), false union all select distinct unnest(e.claims), true)
                     as k (key, claimed);
    end if;

    if v_shared then
        -- the first position of the append: whoever has read any event of it has read past this
        insert into ledger.scopes
            select distinct t, first
            from json_to_recordset(v_said) as e (touches text[]), unnest(e.touches) as t;
        select coalesce(max(e.notification_id), 0)::text into detail from ledger.events e where e.shared;
    end if;

    recorded := clock_timestamp();
    insert into ledger.events
        select e.originator_id, e.originator_version, e.topic, e.state, first + e.notification_id - 1, recorded,
               e.event_id, e.at, e.occurred_at, e.actor, e.on_behalf_of, e.role, e.place, e.channel, e.command_id,
               e.cause, e.correlation, e.policy, e.read_up_to, e.clauses, e.shared
        from unnest(v_events) e;
    if v_by.command_id <> '' then
        insert into ledger.commands
            values (v_by.sender, v_by.command_id, v_by.content_hash, v_by.judged, first, last, v_by.refusal);
    end if;
    notify ledger_events;
    outcome := 'recorded';
end $$;

drop function if exists ledger.record_decisions_in_events(json[], integer[], bytea[]);

-- Several decisions, a JSON array of them, in one transaction and in that order; `p_counts` says how many of `p_states` are
-- each one's. Each is checked against what those before it have written, and has its own row of the answer: one that is
-- not recorded has written nothing and hinders no other.
create or replace function ledger.record_decisions_in_events(p_decisions json, p_counts integer[], p_states bytea[])
returns table (outcome text, first bigint, last bigint, refusal text, content_hash text, recorded timestamptz,
               detail text)
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '10s' as $$
declare
    v_decision json;
    v_nth integer := 0;
    v_done integer := 0;
begin
    for v_decision in select value from json_array_elements(p_decisions) loop
        v_nth := v_nth + 1;
        return query select * from ledger.record_decision_in_events(
            v_decision, p_states[v_done + 1 : v_done + p_counts[v_nth]]);
        v_done := v_done + p_counts[v_nth];
    end loop;
end $$;

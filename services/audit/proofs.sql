-- The tree over the log, beside it: kept by the notary, who adds and never changes. Whoever owns the database can still
-- rewrite all of it; that is why checkpoints and leaf hashes are published outside. Run at every start, after the log's.
create schema if not exists proofs;
revoke all on schema proofs from public;

-- The hash of each event's header, under a dense index of its own.
create table if not exists proofs.leaves (
    index        bigint primary key check (index >= 0),
    log_position bigint not null unique,
    hash         bytea  not null check (octet_length(hash) = 32)
);

-- Level n: the root over 256 hashes of level n - 1, the leaves being level 0.
create table if not exists proofs.nodes (
    level smallint check (level > 0),
    nth   bigint check (nth >= 0),
    hash  bytea not null check (octet_length(hash) = 32),
    primary key (level, nth)
);

-- What was signed: one for each size, ever.
create table if not exists proofs.checkpoints (
    size      bigint primary key check (size > 0),
    note      bytea  not null,
    signed_at timestamptz not null default clock_timestamp()
);

-- What went out beyond the folder, so that a restart sends nothing again: `way` is mail or timestamp.
create table if not exists proofs.sent (
    way     text not null,
    size    bigint not null,
    at      timestamptz not null default clock_timestamp(),
    receipt bytea,
    primary key (way, size)
);

do $$
declare name text;
begin
    foreach name in array array['leaves', 'nodes', 'checkpoints', 'sent'] loop
        if not exists (select from pg_trigger where tgname = 'append_only_rows'
                       and tgrelid = format('proofs.%I', name)::regclass) then
            execute format('create trigger append_only_rows before update or delete on proofs.%I
                            for each row execute function ledger.append_only()', name);
            execute format('create trigger append_only_table before truncate on proofs.%I
                            for each statement execute function ledger.append_only()', name);
            execute format('alter table proofs.%I enable always trigger append_only_rows', name);
            execute format('alter table proofs.%I enable always trigger append_only_table', name);
        end if;
    end loop;
end $$;

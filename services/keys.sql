-- Wrapping keys and what stands beside them. All of it is the keeper's alone.

-- By which key-encryption key the rows of this schema are wrapped now. Whoever makes a key holds this row shared until it
-- stands, whoever puts another key-encryption key in its place holds it alone: no key is ever wrapped by one that is gone.
create table if not exists keys.current (
    only_one boolean primary key default true check (only_one),
    kek      text    not null
);
insert into keys.current (kek) select min(kek) from keys.wrapping having count(*) > 0 on conflict do nothing;

-- Keys that were destroyed so that someone is forgotten, with what became of all others then. None of that name is made
-- again.
create table if not exists keys.destroyed (
    key_id     text        primary key,
    at         timestamptz not null default clock_timestamp(),
    kek_before text        not null,
    kek_after  text        not null,
    survivors  bigint      not null
);

-- What a patron can be found by: keyed hashes of normalised values. The key of the hashes is made anew whenever someone is
-- forgotten; the values themselves, sealed under the patron's own key, let the others' hashes be made again.
create table if not exists keys.patron_index (
    digest bytea not null,
    patron text  not null,
    kind   text  not null,
    sealed bytea not null,
    primary key (digest, patron)
);
create index if not exists patron_index_patron on keys.patron_index (patron);
-- Noted before the command that says it is recorded: what nothing on record follows is taken out again.
alter table keys.patron_index add column if not exists noted_at timestamptz not null default clock_timestamp();
alter table keys.patron_index add column if not exists on_record boolean not null default false;
create index if not exists patron_index_unsettled on keys.patron_index (noted_at) where not on_record;

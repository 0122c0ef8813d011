-- What each role may do, and no more. The recorder adds to the log and reads it; MAINTAIN lets it take the lock.
revoke all on schema ledger, keys, views from public;
grant usage on schema ledger to imprimatur_recorder, imprimatur_projector, imprimatur_reader;
grant usage on schema keys to imprimatur_keeper;
grant usage, create on schema views to imprimatur_projector;
grant usage on schema views to imprimatur_reader, imprimatur_recorder;

grant select, insert, maintain on ledger.events to imprimatur_recorder;
grant select, insert on ledger.commands, ledger.scopes, ledger.claims, ledger.evidence to imprimatur_recorder;
grant select, insert, update, delete on ledger.suppressed to imprimatur_recorder;
grant select on all tables in schema ledger to imprimatur_projector, imprimatur_reader;
grant select, insert, update, delete on keys.wrapping to imprimatur_keeper;

revoke all on all functions in schema ledger from public;
grant execute on all functions in schema ledger to imprimatur_recorder;

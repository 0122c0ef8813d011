-- What each role may do, and no more. The recorder adds to the log by the two functions alone, which the migrator owns.
revoke all on schema ledger, keys, views from public;
grant usage on schema ledger to imprimatur_recorder, imprimatur_projector, imprimatur_reader;
grant usage on schema keys to imprimatur_keeper;
grant usage, create on schema views to imprimatur_projector;
grant usage on schema views to imprimatur_reader, imprimatur_recorder;

revoke all on all tables in schema ledger from imprimatur_recorder;
grant select on all tables in schema ledger to imprimatur_recorder, imprimatur_projector, imprimatur_reader;
grant usage on schema ledger, proofs to imprimatur_notary;
grant usage on schema proofs to imprimatur_reader;
grant select on ledger.events to imprimatur_notary;
grant select, insert on all tables in schema proofs to imprimatur_notary;
grant select on all tables in schema proofs to imprimatur_reader;
grant insert on ledger.evidence to imprimatur_recorder;
grant insert, update, delete on ledger.suppressed to imprimatur_recorder;
grant select, insert, update, delete on all tables in schema keys to imprimatur_keeper;

revoke all on all functions in schema ledger from public;
grant execute on all functions in schema ledger to imprimatur_recorder;

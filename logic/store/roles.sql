-- SPDX-License-Identifier: Apache-2.0
-- Two roles instead of one: imcluster_migrate owns the tables and changes them, imcluster_runtime reads and writes rows. For an administrator, once,
-- connected to a new database that nobody else uses; then \password imcluster_migrate and \password imcluster_runtime.
CREATE ROLE imcluster_migrate LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
CREATE ROLE imcluster_runtime LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
DO $$
BEGIN
  -- Without TEMPORARY nobody can put a table of his own before ours.
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO imcluster_migrate, imcluster_runtime', current_database());
END $$;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
ALTER SCHEMA public OWNER TO imcluster_migrate;
-- What imcluster_runtime may do in it is granted by each migration, to the user of IM_POSTGRES_URL.

/** What was read of a metadata database. */

export type DatabaseState = DatabaseRead | { state: 'unreadable'; why: string };

export interface DatabaseRead {
  state: 'read';
  /** Every table named alembic_version% in Airflow's schema, with all its rows. */
  versionTables: Record<string, string[]>;
  /** Whether tables of Airflow itself exist (told from an empty database). */
  airflowTables: boolean;
  identity: DatabaseIdentity;
}

/** Which database it really is, so that a step never runs on another one. */
export interface DatabaseIdentity {
  database: string;
  oid: string;
  cluster: string;
}

export interface Session {
  pid: number;
  user: string;
  application: string;
  client: string;
  state: string;
}

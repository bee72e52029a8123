/** Who else is on the database: the drain has ended when nobody is. */
import { escapeLiteral } from 'pg';
import type { Session } from '../release/model/database.ts';
import { applicationName } from './connect.ts';
import type { ConnectionSettings } from './url.ts';
import { type Limits, visit } from './visit.ts';

/** The runner's sessions, in the pod where the reverse scripts run (PGAPPNAME). */
export const runnerName = 'downdraft-runner';

/**
 * Sessions of clients on this database, oldest first, without downdraft's own, its runner's and those of
 * `except.applications`. Throws DatabaseUnreadable with one sentence: an empty list always means that nobody is there.
 *
 * Of another role's session an ordinary role sees pid, user and application, but neither state nor address (''), nor
 * backend_type: then everything that has a user counts as a client.
 */
export async function readSessions(
  settings: ConnectionSettings,
  limits: Limits & { except?: { applications: string[] } },
): Promise<Session[]> {
  const ours = [applicationName, runnerName, ...(limits.except?.applications ?? [])].map(escapeLiteral).join(', ');
  const question = `
    select pid, coalesce(usename::text, '') as user, coalesce(application_name, '') as application,
      coalesce(host(client_addr), '') as client, coalesce(state, '') as state
    from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
      and (backend_type = 'client backend' or (backend_type is null and usesysid is not null))
      and coalesce(application_name, '') not in (${ours})
    order by backend_start nulls last, pid`;
  const [rows] = await visit(settings, limits, (ask) => ask(question));
  return (rows ?? []) as unknown as Session[];
}

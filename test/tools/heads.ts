/** Where the database of a namespace is. */

import type { Version } from '../loop/images.ts';
import { databaseOf, type Place } from '../loop/place.ts';
import { revisionsOf } from '../make/release.ts';

/** The Airflow whose heads stand in both version tables; "neither" when they are those of none. */
export async function headsOf({ postgres }: Place, namespace: string): Promise<Version | 'neither'> {
  const [row] = await postgres.query(
    databaseOf(namespace),
    'select (select version_num from alembic_version) as core, (select version_num from alembic_version_fab) as fab',
  );
  const versions = Object.keys(revisionsOf) as Version[];
  return versions.find((v) => row?.core === revisionsOf[v].core && row.fab === revisionsOf[v].fab) ?? 'neither';
}

/** Sets both, as this Airflow leaves them; also after they were emptied. */
export async function setHeads({ postgres }: Place, namespace: string, version: Version): Promise<void> {
  const { core, fab } = revisionsOf[version];
  for (const [table, head] of Object.entries({ alembic_version: core, alembic_version_fab: fab }))
    await postgres.query(
      databaseOf(namespace),
      `with gone as (delete from ${table} where version_num <> '${head}') insert into ${table} values ('${head}') on conflict do nothing`,
    );
}

/** Empties the version table while Airflow's tables stay: every change of an image is then denied. */
export async function emptyHeads({ postgres }: Place, namespace: string): Promise<void> {
  await postgres.query(databaseOf(namespace), 'delete from alembic_version');
}

/** A stage for the tests of dumps: the one of copies, PostgreSQL's programs, and a folder in the place of a volume. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clientPrograms } from '../database/clients.ts';
import { fabManager, type Runner } from './airflow.ts';
import { type Described, type Outcome, runId, type Scene, type Stage, startStage } from './copies.ts';
import { ensureVenv } from './venv.ts';

/** What takes 3.2.1 to 3.1.8. */
export const reverse = [
  { kind: 'core', toRevision: '509b94a1042d' },
  { kind: 'manager', class: fabManager, versionTable: 'alembic_version_fab', toRevision: '6709f7a774b9' },
];

/** One database with rows, and the folder in which its dumps are. */
export interface DumpScene extends Scene {
  folder: string;
  dump: Record<string, unknown>;
  restore: Record<string, unknown>;
  /** Orders one step with some changes; waits for the result. */
  step(runner: Runner, step: Record<string, unknown>, over?: Record<string, unknown>): Promise<Outcome>;
  /** Schema and rows of every table in public: the same text, the same content. */
  content(): Promise<Record<string, unknown>>;
  /** One statement on the database as superuser. */
  on(sql: string): Promise<Record<string, unknown>[]>;
  /** Makes the runner inspect once more; what it says of a dump. */
  described(runner: Runner): Promise<Described | null>;
  mark(): Promise<Record<string, unknown>>;
  /** Names of what is in the folder, hidden ones too. */
  files(): Promise<string[]>;
}

export interface DumpStage extends Stage {
  dumps(extra?: NodeJS.ProcessEnv): Promise<DumpScene>;
}

const contentSql = `SELECT jsonb_object_agg(c.relname, jsonb_build_object(
  'owner', pg_get_userbyid(c.relowner), 'acl', c.relacl::text, 'comment', obj_description(c.oid, 'pg_class'),
  'columns', (SELECT jsonb_agg(jsonb_build_array(attname, format_type(atttypid, atttypmod), attnotnull,
      pg_get_expr(adbin, adrelid), attidentity) ORDER BY attname)
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
  'constraints', (SELECT jsonb_agg(conname || ' ' || pg_get_constraintdef(oid) ORDER BY conname)
    FROM pg_constraint WHERE conrelid = c.oid),
  'indexes', (SELECT jsonb_agg(pg_get_indexdef(indexrelid) ORDER BY pg_get_indexdef(indexrelid))
    FROM pg_index WHERE indrelid = c.oid),
  'rows', md5(query_to_xml(format(CASE c.relkind WHEN 'S' THEN 'SELECT last_value, is_called FROM public.%I'
      ELSE 'SELECT to_jsonb(t) FROM public.%I t ORDER BY 1' END, c.relname), true, true, '')::text))
)::text AS content FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'S')`;

const rowsSql = `
  INSERT INTO log (dttm, event, extra) SELECT now(), 'e' || n, E'a\\nb\\\\.\\n\\t"''' || n FROM generate_series(1, 3000) n;
  INSERT INTO slot_pool (pool, slots, include_deferred) VALUES (E'\\\\.', 1, false);
  CREATE TYPE mood AS ENUM ('sad', 'ok');
  CREATE TABLE "Odd name, 1" (m mood, d date DEFAULT now()); INSERT INTO "Odd name, 1" VALUES ('ok');
  ALTER TABLE "Odd name, 1" OWNER TO airflow; ALTER TYPE mood OWNER TO airflow;
  CREATE VIEW tired AS SELECT * FROM "Odd name, 1"; ALTER VIEW tired OWNER TO airflow;
  CREATE VIEW very_tired AS SELECT * FROM tired; ALTER VIEW very_tired OWNER TO airflow;
  GRANT SELECT ON dag TO reader; COMMENT ON TABLE dag IS 'ours';
  CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'`;

/** Starts the server, migrates a database, and gets PostgreSQL's programs (about 15 s). */
export async function startDumpStage(): Promise<DumpStage> {
  const clients = await clientPrograms('newest');
  const path = `${clients}:${await ensureVenv('3.2.1')}:/usr/local/bin:/usr/bin:/bin`;
  const stage = await startStage();
  await stage.postgres.query('migrated', rowsSql);
  const folders: string[] = [];
  const dumps: DumpStage['dumps'] = async (extra = {}) => {
    const folder = extra.DOWNDRAFT_BACKUP_DIR ?? (await mkdtemp(join(tmpdir(), 'downdraft-dumps-')));
    folders.push(folder);
    const scene = await stage.scene({ PATH: path, DOWNDRAFT_BACKUP_DIR: folder, ...extra });
    return dumpSceneOf(stage, scene, folder);
  };
  const stop = async () => {
    await stage.stop();
    for (const folder of folders) await rm(folder, { recursive: true, force: true });
  };
  return { ...stage, dumps, stop };
}

function dumpSceneOf(stage: Stage, scene: Scene, folder: string): DumpScene {
  const on: DumpScene['on'] = async (sql) => await stage.postgres.query(scene.name, sql);
  return {
    ...scene,
    folder,
    dump: { kind: 'dump', name: scene.copy, run: runId },
    restore: { kind: 'restore', name: scene.copy, run: runId },
    step: async (runner, step, over = {}) => await scene.obey(runner, { ...step, ...over }),
    content: async () => JSON.parse(String((await on(contentSql))[0]?.content)),
    on,
    described: async (runner) => {
      await scene.look(runner);
      return ((await runner.read('inspect.json')) as unknown as { dump: Described | null }).dump;
    },
    mark: async () => JSON.parse(await readFile(join(folder, scene.copy, 'downdraft.json'), 'utf8')),
    files: async () => (await readdir(folder)).sort(),
  };
}

/** Changes some bytes in the middle of a file. */
export async function spoil(file: string): Promise<void> {
  const bytes = await readFile(file);
  bytes.fill(7, bytes.length >> 1, (bytes.length >> 1) + 4);
  await writeFile(file, bytes);
}

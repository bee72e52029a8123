/** Odd values for what an object may say. */
import { annotation, label } from '../../src/release/model/kubernetes.ts';
import { makeHold } from '../make/workload.ts';
import { paths } from './spoilt.ts';

/** Values that labels may have. */
export const labelValues = [
  '',
  'airflow',
  'af',
  'constructor',
  '__proto__',
  'true',
  '0',
  'A_b.c-D',
  'x'.repeat(63),
  'worker',
];
export const labelKeys = [
  'tier',
  'app',
  'release',
  'component',
  label.release,
  label.airflow,
  label.gated,
  'constructor',
];
const hold = (more: object) => JSON.stringify({ ...makeHold(), from: 'apache/airflow:3.1.8', ...more });
export const annotationValues = [
  ...[
    '',
    '3.2.1',
    '3.1.8',
    '99.0.0',
    'scheduler',
    'log-groomer',
    '{',
    '[]',
    'null',
    '{"since":1}',
    '\u0000\ud7ff\ufeff',
  ],
  ...[
    hold({}),
    hold({ before: { gated: true } }),
    hold({ before: { partition: -1 } }),
    hold({ before: { paused: 'x' } }),
  ],
  ...['x'.repeat(100_000), '{'.repeat(50_000), ...paths],
];
export const annotationKeys = [
  ...Object.values(annotation),
  'downdraft.dev/run',
  'kubernetes.io/change-cause',
  'sidecar.istio.io/inject',
];
export const texts = [
  ...['', ' ', '\n', 'é\u202e\ud83d\ude00', '$(A)', '$' + '{A}', '%s%n', 'x'.repeat(20_000), '-1', 'null', '__proto__'],
  ...['apache/airflow:3.1.8', 'localhost:1/a/b:c@sha256:d', 'http://[::1', ...paths],
];
export const variables = [
  'AIRFLOW__DATABASE__SQL_ALCHEMY_CONN',
  'AIRFLOW__CORE__SQL_ALCHEMY_CONN',
  'AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD',
  'AIRFLOW__DATABASE__SQL_ALCHEMY_SCHEMA',
  'DATABASE_HOST',
  '__proto__',
  'A',
];
export const variableValues = [
  'postgresql://a:b@database.example:1/none',
  'postgresql+psycopg2://u:p@127.0.0.1/x',
  'sqlite:////tmp/x.db',
  'mysql://u:p@[::1]:3306/x?a=b&a=c',
  '$(A)$(B)',
  'postgresql://%zz@/%00',
  ...texts,
];
export const commands = [
  ['bash', '-c', 'case $1 in a) airflow db migrate ;; esac; exec airflow scheduler'],
  ['airflow', 'db', 'migrate'],
  ['sh', '-c', '$('.repeat(2000)],
  ['python', '-c', `${'('.repeat(5000)}`],
  ['', '', ''],
  ['cat <<E\nairflow db migrate\nE\n'],
  Array.from({ length: 2000 }, (_, at) => `--a${at}`),
];
export const volumes = [
  { name: 'a', secret: { secretName: 'metadata' } },
  { name: 'a', hostPath: { path: '/' } },
  { name: 'a', emptyDir: { medium: 'Memory' } },
  { name: 'a', persistentVolumeClaim: { claimName: 'a.b' } },
  { name: 'a', projected: { sources: [{ secret: { name: 'metadata' } }, { downwardAPI: {} }] } },
  { name: 'a', csi: { driver: 'x.example', volumeAttributes: { '../..': '../..' } } },
];
export const owners = ['Job', 'ReplicaSet', 'Pod', 'Node', 'Downgrade', 'X'].map((kind) => ({
  apiVersion: 'batch/v1',
  kind,
  name: kind.toLowerCase(),
  uid: '11111111-1111-1111-1111-111111111111',
}));

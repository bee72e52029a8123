/** What all parts of the demo agree on: names, and the cluster that it happens on. */

import type { DowngradeObject } from '../../src/release/kubernetes/downgrade.ts';
import type { Place, Said } from '../stories/place.ts';

/** How listClusters() tells the demo's own cluster. */
export const purpose = 'demo';

export const release = 'af';

/** Both namespaces are made by the demo, and get this label: what lacks it is somebody else's. */
export const namespaces = { downdraft: 'downdraft', airflow: 'air' } as const;

export const ownLabel = 'downdraft.dev/demo';
export const versions = { newer: '3.2.1', older: '3.1.8' } as const;

/** A cluster that the demo happens on. */
export interface Site {
  place: Place;
  kubeconfig: string;
  /** Values for the example chart and environment for downdraft, where images have other names. */
  values: string[];
  settings: Record<string, string>;
  /** What a person types first to use this cluster (nothing for their own), and what each kubectl then takes. */
  shell: string[];
  flags: string[];
  /** What to type to end it all. */
  stop: string;
}

/** What the steps find out, for the summary. */
export interface Found {
  site?: Site;
  /** Whether the cluster was there from an earlier demo. */
  again?: boolean;
  /** Whether anything was put into the cluster. */
  installing?: true;
  /** The step that is going on, which outlives its view when the demo is interrupted. */
  running?: Promise<void>;
  before?: Heads;
  after?: Heads;
  helm?: Said;
  downgrade?: DowngradeObject;
  /** The version that Airflow's own API told, before and after. */
  told?: { before?: string; after?: string };
}

export interface Heads {
  core: string;
  fab: string;
}

/** What a DowngradePolicy can say. */

/** What a DowngradePolicy says for a namespace: hold a change that needs a downgrade, refuse it, or only say so. */
export type Mode = 'Hold' | 'Deny' | 'Observe';

export type Approval = 'Always' | 'WhenLossy' | 'Never';

/** What there may be to go back to, as a DowngradePolicy lists it (manifests/crds). */
export type BackupWay = 'ServerCopy' | 'Dump' | 'VolumeSnapshot' | 'CNPGBackup' | 'Reference' | 'Waiver';

/** What counts for a downgrade in a namespace. */
export interface Rules {
  approval: Approval;
  backup: {
    /** What may be used without further asking, the best first; [] when policies agree on nothing. */
    ways: readonly BackupWay[];
    /** How long a copy is kept after the run; 0: dropped as soon as the run is Done. */
    keepHours: number;
    /** A backup must be made, named or waived by name. */
    required: boolean;
  } & Places;
  /** What happens when a step fails: a person is asked, or the verified copy takes the database's place again. */
  onFailure: 'Ask' | 'Return';
  /** Missing: the installation's own. */
  runner?: 'Copy' | 'OldPod';
}

/** What one policy says. */
export type SaidRules = Partial<Omit<Rules, 'backup'>> & { backup?: Partial<Rules['backup']> };

/** Where no policy says anything. */
export const defaultRules: Rules = {
  approval: 'WhenLossy',
  backup: { ways: ['ServerCopy'], keepHours: 168, required: true },
  onFailure: 'Ask',
};

/** True for a way that downdraft sees to by itself: more than a person's word. */
export function isMade(way: string): way is MadeWay {
  return Object.hasOwn(nouns, way);
}

/** A way that downdraft sees to by itself. */
export type MadeWay = Exclude<BackupWay, 'Reference' | 'Waiver'>;

/** What there is none of where that way is not possible, in a sentence. */
export const nouns: Record<MadeWay, string> = {
  ServerCopy: 'no copy on the server',
  Dump: 'no dump',
  VolumeSnapshot: 'no volume snapshot',
  CNPGBackup: 'no backup by CloudNativePG',
};

/** True for a way whose backup others make. */
export function isSnapshot(way: string): way is SnapshotWay {
  return way === 'VolumeSnapshot' || way === 'CNPGBackup';
}

export interface DumpPlace {
  /** A PersistentVolumeClaim in the release's own namespace. */
  claim: string;
  /** A folder of that volume; missing: its root. */
  subPath?: string;
}

export interface SnapshotPlace {
  /** The PersistentVolumeClaim of the database's server. */
  claim: string;
  /** Missing: the release's own. */
  namespace?: string;
  /** Missing: the cluster's default class. */
  className?: string;
  waitMinutes?: number;
}

export interface ClusterPlace {
  /** A Cluster of CloudNativePG. */
  cluster: string;
  /** Missing: the release's own. */
  namespace?: string;
  /** Missing: CloudNativePG's default. */
  method?: string;
  /** Of the method plugin: its name. */
  plugin?: string;
  waitMinutes?: number;
}

export interface Places {
  dump?: DumpPlace;
  volumeSnapshot?: SnapshotPlace;
  cnpg?: ClusterPlace;
}

/** Ways of a backup that others make. */
export type SnapshotWay = 'VolumeSnapshot' | 'CNPGBackup';

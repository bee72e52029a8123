/** What is known of an image. */

/**
 * What is known of an Airflow image. `source` says how: a probe has run the image, tag and registry are its maker's word, an
 * annotation is that of whoever wrote it.
 */
export interface ImageKnowledge {
  image: string;
  source: 'probe' | 'tag' | 'registry' | 'annotation';
  version: string;
  /** The one core head of its scripts; missing when only a version is known that our table lacks. */
  coreHead?: string;
  /** The provider schemas that this image enforces at start; missing means not known, [] means none. */
  managers?: ManagerHead[];
  /** Kubelet's digest of what was probed. */
  imageID?: string;
  /** It was asked for the very change that is judged, so which providers it enforces is as the configuration says now. */
  fresh?: true;
}

/** Not knowing is a result of its own: never a direction. */
export interface ImageUnknown {
  image: string;
  source: 'unknown';
  why: string;
}

export interface ManagerHead {
  class: string;
  versionTable: string;
  heads: string[];
}

/** For whom something was learned. */
export interface Owner {
  namespace: string;
  release: string;
}

/** One entry: what was learned, for whom, and when it was last of use (ISO 8601). */
export interface Learned extends Owner {
  usedAt: string;
  knowledge: ImageKnowledge;
}

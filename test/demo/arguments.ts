/** What a person can ask of `npm run demo`. */
import { parseArgs } from 'node:util';

/** The images that an existing cluster pulls. */
export interface Images {
  downdraft?: string;
  /** A repository with the tags 3.2.1 and 3.1.8. */
  airflow?: string;
  postgres?: string;
}

export interface Asked {
  action: 'run' | 'stop' | 'help';
  /** A context of the person's own kubeconfig; undefined: a cluster of the demo's own. */
  context: string | undefined;
  images: Images;
}

export const help = `npm run demo                   show a downgrade of Airflow 3.2.1 to 3.1.8 by helm, on a cluster of its own
npm run demo -- --stop         end and remove that cluster; what was built for it stays for the next time
npm run demo -- --help         this text

The cluster has one node and runs on this machine: Debian 12, root, Go. It stays when the demo ends (--keep, the
default), to look around in; the next demo goes on with it. The first run builds everything from package registries.

On a cluster that is there already, with kubectl and helm, and the kubeconfig that these two use:

npm run demo -- --context NAME --image downdraft=REPOSITORY:TAG
npm run demo -- --context NAME --stop          remove what the demo installed there

  --image downdraft=REPOSITORY:TAG   an image of this project that the cluster can pull; needed
  --image airflow=REPOSITORY         with the tags 3.2.1 and 3.1.8 (default: apache/airflow)
  --image postgres=REPOSITORY:TAG    (default: postgres:15)

It installs downdraft (namespace downdraft, a CRD, cluster roles, webhook configurations) and an example release
(namespace air), both made and labelled by the demo. It refuses where either is there already and is not the demo's,
and where other Airflow releases run: downdraft guards all of a cluster.
`;

/** Reads the command line. Throws one line that says what is wrong with it. */
export function readArguments(args: string[]): Asked {
  const { values } = parse(args);
  const { help, stop, context, image = [] } = values;
  const images = readImages(image);
  if (help) return { action: 'help', context, images };
  if (stop && image.length > 0) throw new Error('--stop needs no --image');
  if (image.length > 0 && context === undefined) {
    throw new Error('--image is for a cluster named by --context; the own one makes its images itself');
  }
  if (context === '') throw new Error('--context needs the name of a context');
  if (context !== undefined && !stop && images.downdraft === undefined) {
    throw new Error('--context needs --image downdraft=REPOSITORY:TAG, an image that the cluster can pull');
  }
  return { action: stop ? 'stop' : 'run', context, images };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        help: { type: 'boolean', short: 'h' },
        stop: { type: 'boolean' },
        keep: { type: 'boolean' },
        context: { type: 'string' },
        image: { type: 'string', multiple: true },
      },
    });
  } catch (error) {
    // Node goes on to explain positional arguments, of which there are none here.
    throw new Error((error as Error).message.split('. ')[0], { cause: error });
  }
}

function readImages(given: string[]): Images {
  const images: Images = {};
  for (const pair of given) {
    const [, name, reference] = /^(downdraft|airflow|postgres)=(\S+)$/.exec(pair) ?? [];
    if (!name || !reference) throw new Error(`--image ${pair}: expected downdraft=…, airflow=… or postgres=…`);
    const tagged = /:[^/:]+$/.test(reference);
    if (reference.includes('@')) throw new Error(`--image ${pair}: expected a tag, not a digest`);
    if (name === 'airflow' && tagged) throw new Error(`--image ${pair}: a repository without a tag is expected`);
    if (name !== 'airflow' && !tagged) throw new Error(`--image ${pair}: a tag is missing (REPOSITORY:TAG)`);
    images[name as keyof Images] = reference;
  }
  return images;
}

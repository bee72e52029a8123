import { copyFile, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { pushLayer, type Recipe } from './recipe.ts';

const applets = ['sh', 'sleep', 'cat', 'ls', 'echo', 'env', 'wget', 'nc', 'nslookup', 'id', 'true'];

/** The container that holds a pod's namespaces; with busybox's small programs, so that it serves as a test pod, too. */
export const pause: Recipe = {
  repository: 'pause',
  tag: '1',
  ingredients: () => ['1', ...applets],
  make: async (workshop) => {
    const root = join(workshop.dir, 'root');
    await mkdir(join(root, 'bin'), { recursive: true });
    await mkdir(join(root, 'tmp'), { mode: 0o777 });
    await copyFile('/bin/busybox', join(root, 'bin/busybox'));
    for (const applet of applets) await symlink('busybox', join(root, 'bin', applet));
    await pushLayer(workshop, root, { entrypoint: ['/bin/sleep', 'infinity'], env: { PATH: '/bin' } });
  },
};

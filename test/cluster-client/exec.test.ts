import { existsSync } from 'node:fs';
import { readdir, readFile as readLocal } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { Client } from '../../src/cluster/client/client.ts';
import { ApiError } from '../../src/cluster/client/errors.ts';
import { exec } from '../../src/cluster/exec/exec.ts';
import { startDetached, writeFile } from '../../src/cluster/exec/files.ts';
import { runnerFiles } from '../../src/cluster/exec/runner-files.ts';
import { type FakeKubelet, finish, onFakeKubelet } from './kubelet.ts';

let dir: string;
let kubelet: FakeKubelet;
let client: Client;
const where = ['air', 'scheduler-0', 'scheduler'] as const;
const request = { namespace: 'air', pod: 'scheduler-0', container: 'scheduler' };

onFakeKubelet((started) => {
  ({ dir, kubelet, client } = started);
});

const sh = (script: string) => ['sh', '-c', script];

describe('exec', () => {
  it('S1-18: tells output, error output and exit code apart, and shows its token', async () => {
    const outcome = await exec(client, { ...request, command: sh('echo ja; echo nein >&2; exit 7') });
    expect(outcome).toMatchObject({ exitCode: 7, stdout: 'ja\n', stderr: 'nein\n', cut: false });
    expect(kubelet.authorization()).toBe('Bearer a-token');
  });

  const stdin = 'größer '.repeat(28_000);
  const length = Buffer.byteLength(stdin);

  it('sends stdin whole, and closes it', async () => {
    const outcome = await exec(client, { ...request, command: sh('cat | wc -c'), stdin });
    expect(outcome).toMatchObject({ exitCode: 0, stdout: `${length}\n` });
  });

  it('can send stdin over v4 to a command that knows the length', async () => {
    kubelet.fault.protocols = ['v4.channel.k8s.io'];
    const outcome = await exec(client, { ...request, command: sh(`head -c ${length} | wc -c`), stdin });
    expect(outcome).toMatchObject({ exitCode: 0, stdout: `${length}\n` });
    const endless = await exec(client, { ...request, command: ['cat'], stdin: 'x', timeoutMs: 300 });
    expect(endless).toMatchObject({ exitCode: undefined, stdout: 'x' });
  });

  it('S1-18: says "unknown" when the stream is cut before the status', async () => {
    kubelet.fault.withoutStatus = true;
    const outcome = await exec(client, { ...request, command: sh('echo done') });
    expect(outcome).toMatchObject({
      exitCode: undefined,
      stdout: 'done\n',
      ended: expect.stringContaining('without a status'),
    });
  });

  it('says "unknown" in time when nothing comes to an end, and closes the stream', async () => {
    const closed = vi.fn();
    kubelet.fault.instead = (socket) => socket.on('close', closed);
    const outcome = await exec(client, { ...request, command: ['sleep', '60'], timeoutMs: 300, pingMs: 50 });
    expect(outcome).toMatchObject({ exitCode: undefined, ended: 'timed out after 300 ms' });
    expect(kubelet.pings()).toBeGreaterThan(2);
    await vi.waitFor(() => expect(closed).toHaveBeenCalled());
  });

  it('notices a peer that answers no ping', async () => {
    kubelet.fault.instead = (socket) => socket.pause();
    const outcome = await exec(client, { ...request, command: ['true'], pingMs: 50, deadMs: 400 });
    expect(outcome).toMatchObject({ exitCode: undefined, ended: 'nothing came for 400 ms' });
  });

  it('does not take the failure of a runtime for an exit code', async () => {
    const outcome = await exec(client, { ...request, command: ['no-such-program'] });
    expect(outcome).toMatchObject({ exitCode: undefined, ended: expect.stringContaining('no-such-program') });
  });

  it('keeps what comes in one packet with the handshake', async () => {
    kubelet.fault.instead = (socket) => {
      socket.send(Buffer.from('\x01at once'));
      finish(socket, { status: 'Success' });
    };
    for (let i = 0; i < 20; i++)
      expect(await exec(client, { ...request, command: ['true'] })).toMatchObject({ exitCode: 0, stdout: 'at once' });
  });

  it('cuts endless output at 1 MiB and says so, and still learns the exit code', async () => {
    const outcome = await exec(client, { ...request, command: sh('head -c 3000000 /dev/zero | tr "\\0" x; exit 4') });
    expect(outcome).toMatchObject({ exitCode: 4, cut: true });
    expect(outcome.stdout).toMatch(/x\n\[cut: 1048576 of 3000000 bytes\]\n$/);
  });

  it('throws what the API server answers when it refuses', async () => {
    const status = { kind: 'Status', reason: 'Forbidden', message: 'cannot create pods/exec' };
    kubelet.fault.refuse = { status: 403, body: JSON.stringify(status) };
    const error = await exec(client, { ...request, command: ['true'] }).catch((e) => e);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({
      status: 403,
      reason: 'Forbidden',
      message: expect.stringContaining('cannot create pods/exec'),
    });
  });
});

describe('files in a container', () => {
  const large = 'zeile mit $HOME `x` "y"\n'.repeat(9000);

  it.each(['v5.channel.k8s.io', 'v4.channel.k8s.io'])('writes 200 KB over %s', async (protocol) => {
    kubelet.fault.protocols = [protocol];
    const path = join(dir, protocol, "it's a folder", 'orders.json');
    await writeFile(client, ...where, path, large);
    expect(await readLocal(path, 'utf8')).toBe(large);
    await writeFile(client, ...where, path, '');
    expect(await readLocal(path, 'utf8')).toBe('');
    expect(await readdir(join(path, '..'))).toEqual(['orders.json']);
  });

  it('leaves the old file whole when the stream is cut in the middle', async () => {
    const path = join(dir, 'cut', 'orders.json');
    await writeFile(client, ...where, path, 'old');
    kubelet.fault.cutStdinAfter = 100_000;
    await expect(writeFile(client, ...where, path, large)).rejects.toThrow(/could not write/);
    delete kubelet.fault.cutStdinAfter;
    await vi.waitFor(async () => expect(await readdir(join(dir, 'cut'))).toEqual(['orders.json']));
    expect(await readLocal(path, 'utf8')).toBe('old');
  });

  it('starts a command that outlives the stream', async () => {
    const mark = join(dir, 'mark');
    const started = performance.now();
    await startDetached(
      client,
      ...where,
      ['sh', '-c', 'sleep 1; echo "$1" > "$0"', mark, 'two words'],
      join(dir, 'out'),
    );
    expect(performance.now() - started).toBeLessThan(900);
    expect(existsSync(mark)).toBe(false);
    await vi.waitFor(async () => expect(await readLocal(mark, 'utf8')).toBe('two words\n'), { timeout: 5000 });
  });

  it('starts nothing of a command that arrived in part', async () => {
    const mark = join(dir, 'never');
    kubelet.fault.cutStdinAfter = 32_768;
    const command = ['sh', '-c', `touch '${mark}'; ${'# a long program\n'.repeat(4000)}`];
    await expect(startDetached(client, ...where, command, join(dir, 'out'))).rejects.toThrow(/could not start sh/);
    delete kubelet.fault.cutStdinAfter;
    await startDetached(client, ...where, command, join(dir, 'out'));
    await vi.waitFor(() => expect(existsSync(mark)).toBe(true));
  });

  it('reads the files of a runner in one exec, its pid only while it lives', async () => {
    const path = (name: string) => join(dir, 'runner', name);
    await writeFile(client, ...where, path('result.json'), '{"a":"ü\\n"}');
    await writeFile(client, ...where, path('pid'), String(process.pid));
    const paths = [path('inspect.json'), path('result.json'), path('pid')];
    expect(await runnerFiles(client, ...where, paths)).toEqual([undefined, '{"a":"ü\\n"}', String(process.pid)]);
    await writeFile(client, ...where, path('pid'), '99999999');
    expect(await runnerFiles(client, ...where, paths)).toEqual([undefined, '{"a":"ü\\n"}', undefined]);
    kubelet.fault.withoutStatus = true;
    await expect(runnerFiles(client, ...where, paths)).rejects.toThrow();
  });

  it('throws when there is no such command to start', async () => {
    await expect(startDetached(client, ...where, ['no-such-program'], join(dir, 'out'))).rejects.toThrow(
      /exit code 127: no such command/,
    );
  });
});

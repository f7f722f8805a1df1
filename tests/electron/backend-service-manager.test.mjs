import path from 'node:path';
import fs from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import { BACK_OFF } from '../../electron-resources/main/backend-service-manager.js';
import { TIMING } from '../../electron-resources/main/health.js';
import { PATIENCE } from '../../electron-resources/main/stop.js';
import { HANG_MS, fakeResources, folder, later, reached, service } from './engines.mjs';
import { failed } from './failures.mjs';
import { awaitNobody } from './processes.mjs';

const alive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

test('the app asks, waits and starts again at the times that docs and design name', () => {
  expect(TIMING).toEqual({ firstMs: 100, everyMs: 5_000, timeoutMs: 2_000, deadlineMs: 60_000 });
  expect(PATIENCE).toEqual({ idleMs: 1_000, busyMs: 35_000, termMs: 1_000, askMs: 500 });
  expect(BACK_OFF).toEqual([0, 1_000, 4_000]);
});

describe('starting', () => {
  test('an engine that listens and answers is ready, on the port that it announced', async () => {
    const manager = service([
      { say: { event: 'step', name: 'unpack', done: 1, total: 2, unit: 'bytes' } },
      { serve: {} },
    ]);
    const events = [];
    manager.on('event', (event) => events.push(event.event));
    await manager.start();
    expect(events).toEqual(['step', 'listening']);
    expect(manager.status()).toMatchObject({ running: true, port: manager.state.address.port, restartAttempts: 0 });
    expect(await manager.checkHealth()).toMatchObject({ healthy: true });
  });

  test('it is asked for its health at once, and ready by its first answer', async () => {
    const never = 2 ** 30;
    const manager = service([{ serve: {} }], {
      timing: { firstMs: never, everyMs: never, timeoutMs: HANG_MS, deadlineMs: never },
    });
    await manager.start();
    const { listeningMs, readyMs } = manager.metrics();
    expect(readyMs).toBeGreaterThanOrEqual(listeningMs);
  });

  test('health that fails at first is asked again', async () => {
    const manager = service([{ serve: { health: [503, 503, 200] } }]);
    await manager.start();
    expect(manager.state.phase).toBe('ready');
  });

  test('the token travels in the environment, never in the command line or the shown process', async () => {
    const manager = service([{ serve: {} }], { token: 'very-secret' });
    await manager.start();
    const { pid } = manager.status();
    expect(fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1')).not.toContain('very-secret');
    expect(fs.readFileSync(`/proc/${pid}/environ`, 'latin1')).toContain('PEFT_STUDIO_TOKEN=very-secret');
    expect(JSON.stringify(manager.processInfo())).not.toContain('very-secret');
    expect(JSON.stringify(manager.processInfo())).not.toContain('FAKE_ENGINE');
  });

  test('started twice, there is one process', async () => {
    const manager = service([{ serve: {} }]);
    await Promise.all([manager.start(), manager.start()]);
    expect(manager.state.made).toBe(1);
  });

  test('what is no event goes to the log, in whatever chunks it comes', async () => {
    const manager = service([
      { babble: '{"v": 1, "ev' },
      { babble: 'ent": "step"}\nhello ' },
      { babble: 'wörld\n' },
      { stderr: 'careful' },
      { serve: {} },
    ]);
    await manager.start();
    await manager.stop();
    expect(manager.log.texts).toEqual(
      expect.arrayContaining(['stdout: {"v": 1, "event": "step"}', 'stdout: hello wörld', 'stderr: careful']),
    );
  });
});

describe('failing to start', () => {
  test('a missing program is named, and the way out', async () => {
    const resources = fakeResources();
    fs.rmSync(resources.program);
    const manager = service([], { resources });
    await expect(manager.start()).rejects.toMatchObject({ code: 'EXECUTABLE_NOT_FOUND' });
    expect(manager.explanation().remedy).toContain('may be corrupted');
  });

  test('an event `failed` is final, and told as the engine told it', async () => {
    const manager = service([{ say: failed('disk-full', 'The disk is too full.', 'Free some room.') }, { exit: 85 }]);
    await expect(manager.start()).rejects.toThrow('The disk is too full.');
    expect(manager.explanation()).toMatchObject({
      code: 'disk-full',
      remedy: 'Free some room.',
      end: 'It ended with status 85.',
    });
    expect(manager.state.made).toBe(1);
  });

  test('a crash is started again three times, then told with its last lines', async () => {
    const manager = service([{ stderr: 'Traceback' }, { stderr: 'ValueError: odd' }, { exit: 3 }]);
    await expect(manager.start()).rejects.toMatchObject({ code: 'MAX_RESTARTS_EXCEEDED' });
    expect(manager.state.made).toBe(4);
    expect(manager.explanation().lastLines).toEqual(['Traceback', 'ValueError: odd']);
    expect(manager.log.failures).toHaveLength(4);
  });

  test('a death by signal names the signal', async () => {
    const manager = service([{ die: 'SIGSEGV' }]);
    await expect(manager.start()).rejects.toThrow();
    expect(manager.explanation().end).toBe('It was ended by SIGSEGV.');
  });

  test('a missing module is named, and not tried again', async () => {
    const manager = service([{ stderr: "ModuleNotFoundError: No module named 'uvicorn'" }, { exit: 1 }]);
    await expect(manager.start()).rejects.toMatchObject({
      code: 'MISSING_PACKAGE',
      message: 'The module uvicorn is missing.',
    });
    expect(manager.state.made).toBe(1);
  });

  test('one that listens and never answers is killed at the deadline', async () => {
    const manager = service([{ deaf: true }, { serve: { freezeAfter: 0 } }], {
      timing: { firstMs: 10, everyMs: 20, timeoutMs: 50, deadlineMs: 100 },
    });
    await expect(manager.start()).rejects.toMatchObject({ code: 'MAX_RESTARTS_EXCEEDED' });
    expect(manager.state.failure.code).toBe('backend-hung');
  });

  test('after a failure, recovery works', async () => {
    const flag = path.join(folder(), 'failed-once');
    const manager = service([{ once: flag, steps: [{ say: failed('busy', 'Busy.') }, { exit: 88 }] }, { serve: {} }]);
    await expect(manager.start()).rejects.toThrow('Busy.');
    await manager.start();
    expect(manager.explanation()).toBe(null);
  });
});

describe('watching', () => {
  test('a killed engine is started again', async () => {
    const manager = service([{ serve: {} }]);
    await manager.start();
    const first = manager.status().pid;
    process.kill(first, 'SIGKILL');
    await reached(manager, (state) => state.phase === 'ready' && state.child === 2);
    expect(manager.status().pid).not.toBe(first);
    expect(alive(first)).toBe(false);
  });

  test('a hung engine is killed after three questions, and another one started', async () => {
    const manager = service([{ deaf: true }, { serve: {} }], {
      timing: { firstMs: 20, everyMs: 40, timeoutMs: 1_000, deadlineMs: 60_000 },
    });
    await manager.start();
    const first = manager.status().pid;
    process.kill(first, 'SIGSTOP');
    await reached(manager, (state) => state.phase === 'ready' && state.child === 2);
    expect(alive(first)).toBe(false);
    expect(manager.state.restarts).toBe(1);
  });

  test('one unanswered question makes it unhealthy, the next answer ready', async () => {
    const manager = service([{ serve: { health: [200, 503, 200] } }]);
    await manager.start();
    await reached(manager, (state) => state.phase === 'unhealthy');
    await reached(manager, (state) => state.phase === 'ready');
    expect(manager.state.made).toBe(1);
  });
});

describe('stopping', () => {
  /** Who waits so long waits for ever, as far as a test goes. */
  const PATIENT = Object.freeze({ idleMs: 2 ** 30, busyMs: 2 ** 30, termMs: 2 ** 30, askMs: 10_000 });

  /** Has time for an engine that is at work, and none for one that is not. */
  const CURT = Object.freeze({ ...PATIENT, idleMs: 1, termMs: 1 });

  test('an engine that listens to its stdin or the shutdown route ends at once', async () => {
    const manager = service([{ serve: {} }], { patience: PATIENT });
    await manager.start();
    const { pid } = manager.status();
    await manager.stop();
    expect(alive(pid)).toBe(false);
    expect(manager.log.texts.join()).not.toContain('SIG');
  });

  test('one that ignores all wishes is killed with its grandchildren', async () => {
    const resources = fakeResources();
    const manager = service([{ deaf: true }, { spawn: true }, { serve: { stubborn: true } }], {
      resources,
      token: resources.program,
    });
    await manager.start();
    await manager.stop();
    await awaitNobody(resources.program, 0);
    expect(manager.log.texts.join()).toContain('SIGKILL');
  });

  test('a running job gets its time', async () => {
    const file = path.join(folder(), 'saved');
    const manager = service([{ saves: { file } }, { serve: { jobs: [{ state: 'running' }] } }], { patience: CURT });
    await manager.start();
    await manager.stop();
    expect(fs.existsSync(file)).toBe(true);
  });

  test.each([
    ['is silent', { silent: true }],
    ['says more than fits', { filling: 2 ** 21 }],
    ['fails', { jobs: null }],
  ])('one that %s when it is asked whether it trains gets the time for it', async (_, serve) => {
    const file = path.join(folder(), 'saved');
    const manager = service([{ saves: { file } }, { serve }], { patience: { ...CURT, askMs: 100 } });
    await manager.start();
    await manager.stop();
    expect(fs.existsSync(file)).toBe(true);
  });

  test('one that outlives SIGKILL is told of, and not waited for any longer', async () => {
    const manager = service([{ deaf: true }, { serve: { stubborn: true } }], { patience: CURT });
    await manager.start();
    const { kill } = process;
    // As the system does with a process in a call that cannot be interrupted.
    const spy = vi.spyOn(process, 'kill').mockImplementation((...args) => args[1] === 'SIGKILL' || kill(...args));
    const { pid } = manager.status();
    later(() => kill(-pid, 'SIGKILL'));
    const stopped = await manager.stop().catch((error) => error);
    spy.mockRestore();
    expect(stopped).toMatchObject({ code: 'processes-left' });
    expect(manager.state.phase).toBe('failed');
  });

  test.each([
    ['does what it is asked to, and says of the tree’s next that it has ended', 'kill -9 $2; exit 128'],
    ['is refused by one of the tree', 'exit 1'],
  ])('on Windows, an engine whose taskkill %s is gone after it', async (_, does) => {
    const bin = folder();
    fs.writeFileSync(path.join(bin, 'taskkill.exe'), `#!/bin/sh\necho "$@" > ${bin}/asked\n${does}\n`, { mode: 0o755 });
    const { PATH } = process.env;
    later(() => (process.env.PATH = PATH));
    process.env.PATH = `${bin}:${PATH}`;
    const options = { platform: 'win32', patience: CURT };
    const manager = service([{ deaf: true }, { serve: { stubborn: true } }], options);
    await manager.start();
    const { pid } = manager.status();
    await manager.stop();
    expect(fs.readFileSync(path.join(bin, 'asked'), 'utf8')).toBe(`/PID ${pid} /T /F\n`);
    expect(alive(pid)).toBe(false);
    expect(manager.state.phase).toBe('stopped');
  });

  test('stopped while it starts, it is gone and does not come back', async () => {
    const manager = service([]);
    const starting = expect(manager.start()).rejects.toThrow('stopped before it was ready');
    await manager.stop();
    await starting;
    expect(manager.state).toMatchObject({ phase: 'stopped', child: null });
  });

  test('a forced restart does not wait for an engine that is being asked', async () => {
    const manager = service([{ deaf: true }, { serve: { stubborn: true } }], { patience: PATIENT });
    await manager.start();
    const stopping = manager.stop();
    await manager.forceRestart();
    await stopping;
    expect(manager.state).toMatchObject({ phase: 'ready', child: 2 });
    const { pid } = manager.status();
    const last = manager.stop();
    process.kill(pid, 'SIGKILL');
    await last;
  });
});

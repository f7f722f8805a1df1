'use strict';

// One run of the engine's program: a child process in a group of its own, what it says, and its end.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { setTimeout: pause } = require('node:timers/promises');
const { LineReader, parseEvent } = require('./events');
const { awaitGone, killAll, signalGroup } = require('./processes');

const TAIL_LINES = 50;
const LONGEST_TAIL_LINE = 2_000;

/** After the program's own end, what it left in its pipes: a grandchild may hold them open for ever. */
const DRAIN_MS = 250;

/** What SIGKILL may take: a process in an uninterruptible system call ends when that does. */
const KILL_MS = 5_000;

/**
 * @typedef {Readonly<{
 *   command: string,
 *   args: readonly string[],
 *   cwd: string,
 *   env: Readonly<NodeJS.ProcessEnv>,
 *   platform: NodeJS.Platform,
 * }>} Program what to run
 *
 * @typedef {{
 *   onEvent: (event: Readonly<import('./events').EngineEvent>) => void,
 *   onLine: (line: string, stream: 'stdout' | 'stderr') => void,
 * }} Listener
 *
 * @typedef {Readonly<{exitCode: number | null, signal: string | null, lastLines: readonly string[], error: Error | null,
 *   gone: boolean}>} End
 *   `error` is the system's reason not to start it; `gone` is false where processes of its group outlived SIGKILL
 */

class Child {
  /** @type {string[]} */
  #tail = [];
  #listener;
  #platform;
  #process;

  /**
   * Starts the program.
   *
   * @param {Program} program
   * @param {Listener} listener
   */
  constructor(program, listener) {
    this.#listener = listener;
    this.#platform = program.platform;
    this.#process = spawn(program.command, [...program.args], {
      cwd: program.cwd,
      env: { ...program.env },
      stdio: 'pipe',
      detached: program.platform !== 'win32', // a group of its own, which can be killed whole
      windowsHide: true,
    });
    /** Settles when no process of this run is left. @type {Promise<End>} */
    this.ended = this.#follow();
  }

  /** @returns {number | null} null where the system refused to start it */
  get pid() {
    return this.#process.pid ?? null;
  }

  /** Ends its stdin: with --until-eof, that is the wish that it end. */
  hangUp() {
    this.#process.stdin.end();
  }

  /** Asks with a signal. On Windows there is none that could be answered: there, hanging up has to do. */
  terminate() {
    if (this.pid !== null && this.#platform !== 'win32') signalGroup(this.pid, 'SIGTERM');
  }

  /** Ends all of its processes, unasked. */
  async kill() {
    if (this.pid !== null) await killAll(this.pid, this.#platform);
  }

  async #follow() {
    const child = this.#process;
    // A program that ended without reading closes the pipe; that says no more than its end does.
    child.stdin.on('error', (error) => this.#listener.onLine(`stdin: ${error.message}`, 'stderr'));
    const drained = Promise.all([
      this.#read(child.stdout, 'stdout', (line) => this.#hear(line)),
      this.#read(child.stderr, 'stderr', (line) => this.#keep(line, 'stderr')),
    ]);
    let error = null;
    let [exitCode, signal] = /** @type {[number | null, string | null]} */ ([null, null]);
    try {
      [exitCode, signal] = await /** @type {Promise<any>} */ (once(child, 'exit'));
    } catch (refused) {
      error = /** @type {Error} */ (refused);
    }
    const gone = error !== null || (await this.#leaveNobody());
    await Promise.race([drained, pause(DRAIN_MS)]);
    child.stdout.destroy();
    child.stderr.destroy();
    return Object.freeze({ exitCode, signal, lastLines: Object.freeze([...this.#tail]), error, gone });
  }

  /** Its group may have outlived the program itself. */
  async #leaveNobody() {
    const pid = /** @type {number} */ (this.pid);
    // On Windows the launcher's job object has ended its tree with it, and its PID may be a stranger's by now.
    if (this.#platform === 'win32') return true;
    await killAll(pid, this.#platform);
    return awaitGone(pid, { platform: this.#platform, limitMs: KILL_MS });
  }

  /**
   * @param {import('node:stream').Readable} stream
   * @param {'stdout' | 'stderr'} name
   * @param {(line: string) => void} onLine
   * @returns {Promise<void>} settles when the stream has ended
   */
  #read(stream, name, onLine) {
    const reader = new LineReader(onLine);
    stream.on('data', (chunk) => reader.read(chunk));
    stream.on('error', (error) => this.#keep(`${name}: ${error.message}`, name));
    return new Promise((resolve) => {
      stream.on('close', () => {
        reader.end();
        resolve();
      });
    });
  }

  /** @param {string} line */
  #hear(line) {
    const event = parseEvent(line);
    if (event === null) this.#keep(line, 'stdout');
    else this.#listener.onEvent(event);
  }

  /** @param {string} line @param {'stdout' | 'stderr'} stream */
  #keep(line, stream) {
    this.#tail.push(line.slice(0, LONGEST_TAIL_LINE));
    if (this.#tail.length > TAIL_LINES) this.#tail.shift();
    this.#listener.onLine(line, stream);
  }
}

module.exports = { Child };

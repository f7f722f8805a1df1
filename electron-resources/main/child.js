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

/** What SIGKILL may take, in milliseconds: a process in an uninterruptible system call ends when that does. */
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
  /** The backend's own PID, where the launcher stays before it. @type {number | null} */
  #announced = null;
  /** Called where SIGKILL does not end it. */
  #giveUp = () => {};
  /** @type {Promise<null>} */
  #stuck = new Promise((resolve) => {
    this.#giveUp = () => resolve(null);
  });

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

  /** Ends all of its processes, unasked; those that do not end even so are told of by `ended`. */
  async kill() {
    if (this.pid === null) return;
    await killAll(this.pid, this.#platform);
    if (!(await this.#awaitGone(this.pid))) this.#giveUp();
  }

  /** @param {number} pid */
  #awaitGone(pid) {
    return awaitGone(pid, { platform: this.#platform, limitMs: KILL_MS });
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
    /** @type {[number | null, string | null] | null} */
    let exit = null;
    try {
      exit = await Promise.race([/** @type {Promise<any>} */ (once(child, 'exit')), this.#stuck]);
    } catch (refused) {
      error = /** @type {Error} */ (refused);
    }
    const gone = error !== null || (exit !== null && (await this.#leaveNobody()));
    const [exitCode, signal] = exit ?? [null, null];
    await Promise.race([drained, pause(DRAIN_MS)]);
    child.stdout.destroy();
    child.stderr.destroy();
    return Object.freeze({ exitCode, signal, lastLines: Object.freeze([...this.#tail]), error, gone });
  }

  /** Its group may have outlived the program itself. */
  async #leaveNobody() {
    const pid = /** @type {number} */ (this.pid);
    // On Windows the launcher's job object ends its tree with it, and its own PID may be a stranger's by now.
    if (this.#platform === 'win32') return this.#announced === null || this.#awaitGone(this.#announced);
    await killAll(pid, this.#platform);
    return this.#awaitGone(pid);
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
    if (event === null) return this.#keep(line, 'stdout');
    if (event.event === 'listening') this.#announced = event.pid;
    this.#listener.onEvent(event);
  }

  /** @param {string} line @param {'stdout' | 'stderr'} stream */
  #keep(line, stream) {
    this.#tail.push(line.slice(0, LONGEST_TAIL_LINE));
    if (this.#tail.length > TAIL_LINES) this.#tail.shift();
    this.#listener.onLine(line, stream);
  }
}

module.exports = { Child };

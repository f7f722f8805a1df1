'use strict';

// What the launcher and the backend say on stdout: one JSON object a line, `{"v": 1, "event": …}`.

const { StringDecoder } = require('node:string_decoder');

const VERSION = 1;

/** A line longer than this is cut, so that a program that never ends its line cannot fill the memory. */
const LONGEST_LINE = 1024 * 1024;

/**
 * @typedef {{event: 'step', name: string, done: number, total: number, unit: string}} Step
 * @typedef {{event: 'waiting', pid: number | null}} Waiting
 * @typedef {{event: 'retrying', count: number, pid: number}} Retrying
 * @typedef {{event: 'survey', state: string, damaged: string[]}} Surveyed
 * @typedef {{event: 'lacking', entries: string[]}} Lacking
 * @typedef {{event: 'installed', slot: string, runtime: string, part: string}} Installed
 * @typedef {{event: 'starting', argv: string[]}} Starting
 * @typedef {{event: 'result', act: string} & Record<string, unknown>} Result
 * @typedef {{event: 'failed', code: string, message: string, remedy: string, path: string | null, log: string | null}} Failed
 * @typedef {{event: 'listening', host: string, port: number, pid: number, version: string}} Listening
 * @typedef {Step | Waiting | Retrying | Surveyed | Lacking | Installed | Starting | Result | Failed | Listening} EngineEvent
 */

/** @param {unknown} value */
const isText = (value) => typeof value === 'string';
/** @param {unknown} value */
const isTextOrNull = (value) => value === null || isText(value);
/** @param {unknown} value */
const isCount = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
/** @param {unknown} value */
const isCountOrNull = (value) => value === null || isCount(value);
/** @param {unknown} value */
const isPort = (value) => isCount(value) && Number(value) >= 1 && Number(value) <= 65535;
/** @param {unknown} value */
const isTexts = (value) => Array.isArray(value) && value.every(isText);

/**
 * What each event has to hold. More is allowed: a newer engine may say more.
 *
 * @type {Readonly<Record<string, Readonly<Record<string, (value: unknown) => boolean>>>>}
 */
const FIELDS = Object.freeze({
  step: { name: isText, done: isCount, total: isCount, unit: isText },
  waiting: { pid: isCountOrNull },
  retrying: { count: isCount, pid: isCount },
  survey: { state: isText, damaged: isTexts },
  lacking: { entries: isTexts },
  installed: { slot: isText, runtime: isText, part: isText },
  starting: { argv: isTexts },
  result: { act: isText },
  failed: { code: isText, message: isText, remedy: isText, path: isTextOrNull, log: isTextOrNull },
  listening: { host: isText, port: isPort, pid: isCount, version: isText },
});

/**
 * Returns the event that a line holds, or null where it holds none: then it is something for the log.
 *
 * @param {string} line
 * @returns {Readonly<EngineEvent> | null}
 */
function parseEvent(line) {
  if (!line.startsWith('{')) return null;
  let value;
  try {
    value = JSON.parse(line);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
  if (value.v !== VERSION || !isText(value.event) || !Object.hasOwn(FIELDS, value.event)) return null;
  const holds = Object.entries(FIELDS[value.event]).every(([name, fits]) => fits(value[name]));
  return holds ? Object.freeze(value) : null;
}

/** Cuts a stream of bytes into lines, wherever its chunks begin and end. */
class LineReader {
  #decoder = new StringDecoder('utf8');
  #begun = '';

  /** @param {(line: string) => void} onLine gets each line without its end */
  constructor(onLine) {
    this.onLine = onLine;
  }

  /** @param {Buffer} chunk */
  read(chunk) {
    this.#take(this.#decoder.write(chunk));
  }

  /** Gives out what came after the last line's end. */
  end() {
    this.#take(this.#decoder.end());
    if (this.#begun !== '') this.#give(this.#begun);
    this.#begun = '';
  }

  /** @param {string} text */
  #take(text) {
    const lines = (this.#begun + text).split('\n');
    this.#begun = lines[lines.length - 1];
    for (const line of lines.slice(0, -1)) this.#give(line);
    while (this.#begun.length > LONGEST_LINE) {
      this.#give(this.#begun.slice(0, LONGEST_LINE));
      this.#begun = this.#begun.slice(LONGEST_LINE);
    }
  }

  /** @param {string} line */
  #give(line) {
    this.onLine(line.endsWith('\r') ? line.slice(0, -1) : line);
  }
}

module.exports = { LineReader, parseEvent, LONGEST_LINE };

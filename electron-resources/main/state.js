'use strict';

// Where the engine is: (state, event) → state. No clock, no process, no I/O; the service does what a phase asks for.
//
//   stopped ──start──▶ starting ──listening──▶ listening ──healthy──▶ ready ◀──▶ unhealthy
//                         ▲                                             │            │ too many misses
//                         │                        ended, stop, restart ▼            ▼
//                      waiting ◀──────────────────────────────────── ending ◀────────┘
//                         └──▶ failed, after too many restarts, or at once where a restart cannot help

/**
 * - `stopped`: nothing runs, nobody wants it to.
 * - `starting`: a child is being made, or runs and has not said where it listens.
 * - `listening`: it said so; health has not answered yet.
 * - `ready`: the last question for health was answered well.
 * - `unhealthy`: it was ready, and does not answer.
 * - `ending`: the child shall end, and has not yet.
 * - `waiting`: the child has ended by itself; the next one is due after a while.
 * - `failed`: the child has ended, and no other will be started until somebody asks.
 *
 * @typedef {'stopped' | 'starting' | 'listening' | 'ready' | 'unhealthy' | 'ending' | 'waiting' | 'failed'} Phase
 *
 * @typedef {Readonly<{host: string, port: number, pid: number | null, version: string}>} Address where the backend listens
 *
 * @typedef {Readonly<{
 *   code: string,
 *   message: string | null,
 *   remedy: string | null,
 *   path: string | null,
 *   log: string | null,
 *   exitCode: number | null,
 *   signal: string | null,
 *   lastLines: readonly string[],
 * }>} Failure why a child ended, as it or its end said; `code` is one of errors.js
 *
 * @typedef {Readonly<{
 *   phase: Phase,
 *   child: number | null,
 *   made: number,
 *   wanted: boolean,
 *   forced: boolean,
 *   address: Address | null,
 *   announced: Readonly<import('./events').Failed> | null,
 *   misses: number,
 *   restarts: number,
 *   calmSince: number | null,
 *   failure: Failure | null,
 * }>} State
 *
 * `child` is the number of the child that has not ended, `made` how many there were; `wanted` whether one shall run,
 * `forced` whether it is ended without asking; `announced` the child's own `failed` event; `calmSince` when the count of
 * restarts last changed, or health began to answer.
 *
 * @typedef {{type: 'start'}} Start
 * @typedef {{type: 'stop'}} Stop
 * @typedef {{type: 'restart', forced: boolean}} Restart
 * @typedef {{type: 'said', child: number, event: Readonly<import('./events').EngineEvent>}} Said
 * @typedef {{type: 'healthy', child: number, at: number}} Healthy
 * @typedef {{type: 'missed', child: number}} Missed
 * @typedef {{type: 'hung', child: number}} Hung
 * @typedef {{type: 'ended', child: number, failure: Failure}} Ended
 * @typedef {{type: 'due'}} Due
 * @typedef {Start | Stop | Restart | Said | Healthy | Missed | Hung | Ended | Due} Event
 */

const MOST_RESTARTS = 3;
const MOST_MISSES = 3;

/** How long health has to answer, in milliseconds, until one restart is forgotten. */
const CALM_MS = 60_000;

/** Codes of ends that another start may put right: nobody knows a cause that would still be there. */
const PASSING = Object.freeze(new Set(['backend-ended', 'backend-hung']));

/** @type {State} */
const INITIAL = Object.freeze({
  phase: 'stopped',
  child: null,
  made: 0,
  wanted: false,
  forced: false,
  address: null,
  announced: null,
  misses: 0,
  restarts: 0,
  calmSince: null,
  failure: null,
});

/**
 * Returns the state after an event. What comes from a child that is no longer the present one changes nothing.
 *
 * @param {State} state
 * @param {Event} event
 * @returns {State}
 */
function reduce(state, event) {
  if ('child' in event && event.child !== state.child) return state;
  switch (event.type) {
    case 'start':
      return start(state);
    case 'stop':
      return stop(state, { wanted: false, forced: false });
    case 'restart':
      return restart(state, event.forced);
    case 'due':
      return state.phase === 'waiting' ? begin(state) : state;
    case 'said':
      return hear(state, event.event);
    case 'healthy':
      return thrive(state, event.at);
    case 'missed':
      return miss(state);
    case 'hung':
      return state.phase === 'listening' ? kill(state) : state;
    case 'ended':
      return end(state, event.failure);
  }
}

/** @param {State} state @param {Partial<State>} changes @returns {State} */
const change = (state, changes) => Object.freeze({ ...state, ...changes });

/** @param {State} state */
function start(state) {
  if (state.phase === 'ending') return change(state, { wanted: true, restarts: 0 });
  return state.child === null ? begin(change(state, { restarts: 0 })) : state;
}

/**
 * @param {State} state without a child
 * @returns {State} with a new child, which the service makes
 */
function begin(state) {
  const made = state.made + 1;
  return Object.freeze({ ...INITIAL, phase: 'starting', child: made, made, wanted: true, restarts: state.restarts });
}

/** @param {State} state @param {{wanted: boolean, forced: boolean}} how */
function stop(state, { wanted, forced }) {
  if (state.child === null) return change(state, { ...INITIAL, made: state.made });
  // Who once decided to force the end does not go back to asking.
  return change(state, { phase: 'ending', wanted, forced: forced || state.forced, restarts: 0 });
}

/** @param {State} state @param {boolean} forced */
function restart(state, forced) {
  return state.child === null ? start(state) : stop(state, { wanted: true, forced });
}

/** @param {State} state @param {Readonly<import('./events').EngineEvent>} event */
function hear(state, event) {
  if (event.event === 'failed') return change(state, { announced: event });
  if (state.phase !== 'starting' || event.event !== 'listening') return state;
  const { host, port, pid, version } = event;
  return change(state, { phase: 'listening', address: Object.freeze({ host, port, pid, version }) });
}

/** @param {State} state @param {number} at */
function thrive(state, at) {
  if (state.phase === 'listening' || state.phase === 'unhealthy') {
    return change(state, { phase: 'ready', misses: 0, calmSince: at });
  }
  if (state.phase !== 'ready' || state.restarts === 0 || at - (state.calmSince ?? at) < CALM_MS) return state;
  return change(state, { restarts: state.restarts - 1, calmSince: at });
}

/** @param {State} state */
function miss(state) {
  if (state.phase !== 'ready' && state.phase !== 'unhealthy') return state;
  const misses = state.misses + 1;
  return misses < MOST_MISSES ? change(state, { phase: 'unhealthy', misses }) : kill(state);
}

/** @param {State} state with a child that does not answer, so it would not answer the wish that it end either */
function kill(state) {
  return change(state, { phase: 'ending', misses: MOST_MISSES, forced: true, wanted: true });
}

/** @param {State} state @param {Failure} failure */
function end(state, failure) {
  if (failure.code === 'processes-left')
    return change(state, { ...INITIAL, made: state.made, phase: 'failed', failure });
  if (state.phase === 'ending' && !state.wanted) return change(state, { ...INITIAL, made: state.made });
  const hung = state.misses >= MOST_MISSES;
  if (state.phase === 'ending' && !hung) return begin(state);
  const cause = hung ? Object.freeze({ ...failure, code: 'backend-hung' }) : failure;
  const gone = change(state, { ...INITIAL, made: state.made, failure: cause });
  if (!PASSING.has(cause.code)) return change(gone, { phase: 'failed' });
  if (state.restarts >= MOST_RESTARTS) {
    return change(gone, { phase: 'failed', restarts: state.restarts });
  }
  return change(gone, { phase: 'waiting', wanted: true, restarts: state.restarts + 1 });
}

module.exports = { CALM_MS, INITIAL, MOST_MISSES, MOST_RESTARTS, reduce };

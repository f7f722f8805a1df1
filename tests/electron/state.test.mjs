import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CALM_MS, INITIAL, MOST_RESTARTS, reduce } from '../../electron-resources/main/state.js';
import { failed, failure } from './failures.mjs';

const LISTENING = { event: 'listening', host: '127.0.0.1', port: 8001, pid: 7, version: '1' };
const STEP = { event: 'step', name: 'unpack', done: 1, total: 2, unit: 'bytes' };
const FAILED = failed('disk-full');

const start = { type: 'start' };
const stop = { type: 'stop' };
const due = { type: 'due' };
const said = (event, child = 1) => ({ type: 'said', child, event });
const healthy = (at = 0, child = 1) => ({ type: 'healthy', child, at });
const missed = { type: 'missed', child: 1 };
const ended = (code = 'backend-ended', child = 1) => ({ type: 'ended', child, failure: failure({ code }) });
const after = (...events) => events.reduce(reduce, INITIAL);

const READY = [start, said(LISTENING), healthy()];

describe('each transition', () => {
  test.each([
    ['a start makes a child', [start], { phase: 'starting', child: 1, wanted: true }],
    ['a second start changes nothing', [start, start], { phase: 'starting', made: 1 }],
    ['a step changes nothing', [start, said(STEP)], { phase: 'starting', child: 1, address: null }],
    [
      'an address is kept',
      [start, said(LISTENING)],
      { phase: 'listening', address: { host: '127.0.0.1', port: 8001, pid: 7, version: '1' } },
    ],
    ['listening alone is not ready', [start, said(LISTENING), missed], { phase: 'listening' }],
    ['health before listening is none', [start, healthy()], { phase: 'starting' }],
    ['healthy is ready', READY, { phase: 'ready' }],
    ['one miss is unhealthy', [...READY, missed], { phase: 'unhealthy', misses: 1 }],
    ['an answer forgets misses', [...READY, missed, missed, healthy()], { phase: 'ready', misses: 0 }],
    ['three misses are a kill', [...READY, missed, missed, missed], { phase: 'ending', forced: true, wanted: true }],
    [
      'hung at the start is a kill',
      [start, said(LISTENING), { type: 'hung', child: 1 }],
      { phase: 'ending', forced: true },
    ],
    ['hung once ready is nothing new', [...READY, { type: 'hung', child: 1 }], { phase: 'ready' }],
    [
      'a hung one gone waits for the next',
      [...READY, missed, missed, missed, ended()],
      { phase: 'waiting', restarts: 1, failure: failure({ code: 'backend-hung' }) },
    ],
    ['a crash waits', [...READY, ended()], { phase: 'waiting', child: null, restarts: 1 }],
    ['what is due starts', [...READY, ended(), due], { phase: 'starting', child: 2, restarts: 1 }],
    ['nothing is due but while waiting', [...READY, due], { phase: 'ready', child: 1 }],
    [
      'an end with a lasting cause is final',
      [start, said(FAILED), ended('disk-full')],
      { phase: 'failed', restarts: 0 },
    ],
    ['a `failed` is kept until the end', [start, said(FAILED)], { phase: 'starting', announced: FAILED }],
    ['a stop ends the child', [...READY, stop], { phase: 'ending', wanted: false, forced: false, child: 1 }],
    ['a stopped one is gone', [...READY, stop, ended()], { phase: 'stopped', child: null, failure: null }],
    ['a stop while waiting is at once', [...READY, ended(), stop], { phase: 'stopped', wanted: false, failure: null }],
    ['a stop of what failed forgets it', [start, ended('disk-full'), stop], { phase: 'stopped', failure: null }],
    ['a start while ending comes after', [...READY, stop, start, ended()], { phase: 'starting', child: 2 }],
    ['a stop overrules a restart', [...READY, { type: 'restart', forced: false }, stop, ended()], { phase: 'stopped' }],
    [
      'a restart ends, then starts',
      [...READY, { type: 'restart', forced: false }, ended()],
      { phase: 'starting', child: 2, restarts: 0 },
    ],
    ['a restart of nothing starts', [{ type: 'restart', forced: true }], { phase: 'starting', child: 1 }],
    [
      'a force may follow a wish',
      [...READY, stop, { type: 'restart', forced: true }],
      { phase: 'ending', forced: true, wanted: true },
    ],
    [
      'a wish does not undo a force',
      [...READY, { type: 'restart', forced: true }, stop],
      { phase: 'ending', forced: true, wanted: false },
    ],
    [
      'an old child is not heard',
      [...READY, ended(), due, ended(), said(LISTENING), healthy()],
      { phase: 'starting', child: 2 },
    ],
    [
      'processes left are final',
      [...READY, stop, ended('processes-left')],
      { phase: 'failed', failure: failure({ code: 'processes-left' }) },
    ],
  ])('%s', (_, events, expected) => {
    expect(after(...events)).toMatchObject(expected);
  });

  test('the fourth crash in a row is final', () => {
    let state = after(start);
    for (let child = 1; child <= MOST_RESTARTS; child += 1)
      state = [ended('backend-ended', child), due].reduce(reduce, state);
    expect(reduce(state, ended('backend-ended', 4))).toMatchObject({ phase: 'failed', restarts: MOST_RESTARTS });
  });

  test('each calm minute forgets one restart', () => {
    const again = [...READY, ended(), due, said(LISTENING, 2), healthy(0, 2)];
    expect(after(...again, healthy(CALM_MS - 1, 2)).restarts).toBe(1);
    expect(after(...again, healthy(CALM_MS, 2)).restarts).toBe(0);
  });
});

// Feature: python-backend-bundling, Property 3: process cleanup
describe('over any sequence of events', () => {
  const child = fc.integer({ min: 1, max: 6 });
  const code = fc.constantFrom('backend-ended', 'backend-ended', 'backend-hung', 'disk-full', 'processes-left');
  const events = fc.array(
    fc.oneof(
      fc.constantFrom(start, stop, due, { type: 'restart', forced: false }, { type: 'restart', forced: true }),
      fc.record({ type: fc.constant('said'), child, event: fc.constantFrom(LISTENING, STEP, FAILED) }),
      fc.record({ type: fc.constant('healthy'), child, at: fc.integer({ min: 0, max: 1_000_000 }) }),
      fc.record({ type: fc.constantFrom('missed', 'hung'), child }),
      fc.record({ type: fc.constant('ended'), child, failure: code.map((one) => failure({ code: one })) }),
    ),
    { maxLength: 40 },
  );
  const law = (holds) => fc.assert(fc.property(events, holds), { numRuns: 2_000 });
  /** Calls `look` with each step: the state before, the event, the state after. */
  const walk = (sequence, look) =>
    sequence.reduce((before, event) => {
      const next = reduce(before, event);
      look(before, event, next);
      return next;
    }, INITIAL);

  test('a child is made only when there is none', () => {
    law((sequence) => {
      walk(sequence, (before, event, next) => {
        const oneIsMade = next.made === before.made + 1;
        expect(next.made === before.made || oneIsMade).toBe(true);
        if (oneIsMade)
          expect(before.child === null || (event.type === 'ended' && event.child === before.child)).toBe(true);
        if (before.child !== null && next.child !== before.child)
          expect(event).toMatchObject({ type: 'ended', child: before.child });
      });
    });
  });

  test('ready means that the last answer of this very child was a good one', () => {
    law((sequence) => {
      let good = null;
      walk(sequence, (_before, event, next) => {
        if (event.child === next.child && event.type === 'healthy') good = event.child;
        if (event.child === next.child && event.type === 'missed') good = null;
        if (next.phase === 'ready') expect(good).toBe(next.child);
        if (next.phase === 'ready') expect(next.address).not.toBe(null);
      });
    });
  });

  test('a phase has a child or none, as it should', () => {
    law((sequence) => {
      walk(sequence, (_before, _event, { phase, child: present, wanted, restarts }) => {
        expect(present !== null).toBe(['starting', 'listening', 'ready', 'unhealthy', 'ending'].includes(phase));
        if (phase === 'waiting') expect(wanted).toBe(true);
        expect(restarts).toBeLessThanOrEqual(MOST_RESTARTS);
      });
    });
  });

  test('recovery works any number of times: from wherever, a start leads to ready', () => {
    law((sequence) => {
      let state = reduce(sequence.reduce(reduce, INITIAL), start);
      if (state.phase === 'ending') state = reduce(state, ended('backend-ended', state.child));
      if (state.phase === 'waiting') state = reduce(state, due);
      if (state.phase === 'starting') state = reduce(state, said(LISTENING, state.child));
      expect(reduce(state, healthy(0, state.child)).phase).toBe('ready');
    });
  });

  test('after a stop, the end of the child is the end', () => {
    law((sequence) => {
      const state = reduce(sequence.reduce(reduce, INITIAL), stop);
      const last = state.child === null ? state : reduce(state, ended('backend-ended', state.child));
      expect(last).toMatchObject({ phase: 'stopped', child: null });
      expect(reduce(last, due)).toBe(last);
    });
  });

  test('a state is never changed, only followed', () => {
    law((sequence) => {
      walk(sequence, (_before, _event, next) => expect(Object.isFrozen(next)).toBe(true));
    });
  });
});

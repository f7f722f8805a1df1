'use strict';

// Keeps the view of the engine's page up to date, from the service's events and those of an act.

const { EventEmitter } = require('node:events');
const { BEGUN, advance, approach, viewOf } = require('./progress');

/** @type {readonly import('./errors').Button[]} */
const NOTHING = Object.freeze([]);

/** Emits `view` after each change. */
class Presenter extends EventEmitter {
  #manager;
  #progress = BEGUN;
  /** Of an act that failed. @type {import('./errors').Explanation | null} */
  #problem = null;
  /** @type {import('./progress').Progress | null} */
  #arrival = null;
  /** @type {import('./progress').Installed | null} */
  #installed = null;
  /** What else there is to do about a failure. @type {readonly import('./errors').Button[]} */
  #offered = NOTHING;
  /** Whether an act of the launcher goes on, whatever the engine does meanwhile. */
  #acting = false;

  /** @param {import('./backend-service-manager').BackendServiceManager} manager */
  constructor(manager) {
    super();
    this.#manager = manager;
    manager.on('event', (event) => this.hear(event));
    manager.on('state', (state, before) => {
      if (state.made !== before.made) {
        this.#progress = BEGUN;
        this.#problem = null;
        this.#offered = NOTHING;
        this.#acting = false;
      }
      this.#show();
    });
  }

  /** @returns {import('./progress').View} */
  get view() {
    const found = this.#problem ?? this.#manager.explanation();
    const problem = found && Object.freeze({ ...found, buttons: [...this.#offered, ...found.buttons] });
    const { phase } = this.#manager.state;
    const now = this.#acting ? 'starting' : this.#problem !== null ? 'failed' : phase;
    return viewOf({
      phase: now,
      progress: this.#progress,
      problem,
      arrival: this.#arrival,
      installed: this.#installed,
    });
  }

  /** @param {Readonly<import('./events').EngineEvent>} event */
  hear(event) {
    this.#progress = advance(this.#progress, event, performance.now());
    this.#show();
  }

  /** Shows an act from its beginning, until it has ended or the engine is started. */
  begin() {
    this.#progress = BEGUN;
    this.#acting = true;
    this.#show();
  }

  /** Shows again what there was before the act. */
  end() {
    this.#acting = false;
    this.#show();
  }

  /** @param {import('./errors').Explanation} problem */
  fail(problem) {
    this.#problem = problem;
    this.#acting = false;
    this.#show();
  }

  /** Shows the engine again, after a failure that was not its own. */
  dismiss() {
    this.#problem = null;
    this.#show();
  }

  /** @param {import('./errors').Button} button that may help with the failure that is shown */
  offer(button) {
    this.#offered = Object.freeze([button]);
    this.#show();
  }

  /** @param {import('./arrival').Arrival | null} arrival of the rest of the engine; null once all is there */
  arrive(arrival) {
    this.#arrival = arrival && approach(this.#arrival, arrival, performance.now());
    this.#show();
  }

  /** @param {import('./progress').Installed} installed what is there, and where */
  know(installed) {
    this.#installed = installed;
    this.#show();
  }

  #show() {
    this.emit('view', this.view);
  }
}

module.exports = { Presenter };

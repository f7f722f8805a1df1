// Numbers and steps in words, as people read them.

const STEPS = Object.freeze({
  begin: 'Starting the engine',
  waiting: 'Waiting for another start of PEFT Studio to finish',
  retrying: 'The last start did not succeed: looking for damage',
  check: 'Looking at what is installed',
  unpack: 'Unpacking the engine',
  relocate: 'Setting the engine up for this computer',
  record: 'Making sure that everything is on disk',
  verify: 'Checking every file',
  restore: 'Restoring files',
  remove: 'Removing the engine',
  start: 'Almost there: the engine is starting',
  end: 'Ending the engine: a training saves its work first',
});

export const BUTTONS = Object.freeze({
  retry: 'Try again',
  'show-app': 'Try again',
  back: 'Back',
  repair: 'Repair the engine',
  'use-previous': 'Use the engine of the version before',
  'support-report': 'Support report',
  'open-log': 'Open the log',
  'choose-home': 'Choose another disk',
  'get-app': 'Get PEFT Studio again',
  quit: 'Quit',
  cancel: 'Cancel',
});

/** @param {string} step @returns {string} */
export function describeStep(step) {
  return STEPS[step] ?? 'Working on the engine';
}

/** @param {number} bytes @returns {string} for example "1.24 GB" */
export function describeBytes(bytes) {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(2)} GB`;
  return bytes >= 1e6 ? `${Math.round(bytes / 1e6)} MB` : `${Math.round(bytes / 1e3)} kB`;
}

/** @param {{version: string, home: string, bytes: number}} installed @returns {string} */
export function describeInstalled({ version, home, bytes }) {
  return `Version ${version}, ${describeBytes(bytes)} in ${home}`;
}

/** @param {number} seconds @returns {string} rounded, since nobody knows better */
export function describeTime(seconds) {
  if (seconds < 5) return 'a few seconds left';
  if (seconds < 55) return `about ${Math.ceil(seconds / 5) * 5} seconds left`;
  const minutes = Math.ceil(seconds / 60);
  return minutes === 1 ? 'about a minute left' : `about ${minutes} minutes left`;
}

/**
 * Returns how far a step has come, in one line; empty where nobody knows.
 *
 * @param {{done: number | null, total: number | null, unit: string | null, rate?: number | null, secondsLeft?: number | null}} progress
 * @returns {string}
 */
export function describeFigures({ done, total, unit, rate = null, secondsLeft = null }) {
  if (done === null || total === null || unit === 'steps') return '';
  const inBytes = unit === 'bytes';
  const count = (number) => (inBytes ? describeBytes(number) : number.toLocaleString('en'));
  const parts = [`${count(done)} of ${count(total)}${inBytes ? '' : ' files'}`];
  if (inBytes && rate !== null) parts.push(`${describeBytes(rate)} a second`);
  if (secondsLeft !== null) parts.push(describeTime(secondsLeft));
  return parts.join(' · ');
}

/**
 * Sets a progress element to a share, or to one that nobody knows.
 *
 * @param {HTMLProgressElement} bar
 * @param {{done: number | null, total: number | null, figures: string}} progress
 */
export function showShare(bar, { done, total, figures }) {
  if (done === null || !total) {
    bar.removeAttribute('value');
    bar.removeAttribute('aria-valuetext');
    return;
  }
  bar.max = total;
  bar.value = done;
  bar.setAttribute('aria-valuetext', `${Math.floor((done / total) * 100)} %${figures && `, ${figures}`}`);
}

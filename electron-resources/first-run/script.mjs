// Shows the view that the app's main process sends, and tells it which button was pressed.

import { BUTTONS, describeFigures, describeInstalled, describeStep, showShare } from './words.mjs';

const WORKING_BUTTONS = Object.freeze(['cancel']);
const READY_BUTTONS = Object.freeze(['repair', 'choose-home', 'support-report', 'open-log']);

const element = (id) => document.getElementById(id);
let shownMood = null;

/** Changes only what is new: a screen reader says again whatever is written again. */
function write(id, text) {
  if (element(id).textContent !== text) element(id).textContent = text;
}

function show(view) {
  const { mood } = view;
  for (const [id, owner] of Object.entries({ working: 'working', problem: 'failed', ready: 'ready' })) {
    element(id).hidden = mood !== owner;
  }
  if (mood === 'working') showProgress(view.progress);
  if (mood === 'failed') showProblem(view.problem);
  if (mood === 'ready') showReady(view);
  const buttons = mood === 'failed' ? view.problem.buttons : mood === 'working' ? WORKING_BUTTONS : READY_BUTTONS;
  showButtons(buttons, mood);
  // Whoever cannot see that the page has changed is brought to what it says now.
  if (mood === 'failed' && shownMood !== 'failed') element('problem-title').focus();
  shownMood = mood;
}

function showProgress({ step, done, total, unit, rate, secondsLeft, pid }) {
  write('step', describeStep(step) + (step === 'waiting' && pid !== null ? ` (process ${pid})` : ''));
  const figures = describeFigures({ done, total, unit, rate, secondsLeft });
  write('figures', figures);
  element('first').hidden = step !== 'unpack';
  showShare(element('bar'), { done, total, figures });
}

function showProblem({ code, title, message, remedy, end, lastLines }) {
  write('problem-title', title);
  write('message', message);
  write('remedy', remedy);
  write('end', end ?? '');
  write('lines', lastLines.join('\n'));
  write('code', code);
  element('lines').hidden = lastLines.length === 0;
  element('details').hidden = lastLines.length === 0 && end === null;
}

function showReady({ arrival, installed }) {
  write('arrival', arrival === null ? 'All of it is installed.' : 'The rest of it is being installed.');
  write('arrived', arrival === null ? '' : describeFigures({ ...arrival, unit: 'bytes' }));
  write('installed', installed === null ? '' : describeInstalled(installed));
}

function showButtons(names, mood) {
  const row = element('buttons');
  if ([...row.children].map((button) => button.dataset.act).join() === names.join()) return;
  row.replaceChildren(
    ...names.map((name, index) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.dataset.act = name;
      button.textContent = BUTTONS[name];
      button.className = index === 0 && mood === 'failed' ? 'first' : '';
      button.addEventListener('click', () => press(button));
      return button;
    }),
  );
}

async function press(button) {
  button.disabled = true;
  element('trouble').hidden = true;
  const { success, error } = await window.engine.press(button.dataset.act);
  button.disabled = false;
  if (success) return;
  write('trouble', error);
  element('trouble').hidden = false;
}

window.engine.onView(show);

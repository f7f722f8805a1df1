// Shows how far the rest of the engine has come, under the app's pages.

import { describeFigures, showShare } from './words.mjs';

const element = (id) => document.getElementById(id);

window.engine.onView(({ arrival }) => {
  if (arrival === null) return; // then the bar is on its way out
  const figures = describeFigures({ ...arrival, unit: 'bytes' });
  element('figures').textContent = figures;
  showShare(element('bar'), { ...arrival, figures });
});

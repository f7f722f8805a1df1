// Shows how far the rest of the engine has come, under the app's pages.

import { describeFigures, showShare } from './words.mjs';

const element = (id) => document.getElementById(id);

window.engine.onView(({ arrival }) => {
  if (arrival === null) return; // then the bar is on its way out
  const { done, total } = arrival;
  const figures = describeFigures({ ...arrival, unit: 'bytes' });
  const share = describeFigures({ done, total, unit: 'bytes' });
  element('figures').textContent = share;
  element('pace').textContent = figures.slice(share.length);
  showShare(element('bar'), { done, total, figures });
});

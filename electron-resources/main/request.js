'use strict';

// One HTTP request to the backend. Never through a proxy: it would send the user's loopback out of the machine.

const http = require('node:http');
const https = require('node:https');

/** Answers of the routes asked here are small; more than this is no answer of ours. */
const LARGEST_ANSWER = 1024 * 1024;

/**
 * @typedef {{
 *   method?: string,
 *   token?: string | null,
 *   form?: FormData,
 *   timeoutMs: number,
 *   signal?: AbortSignal,
 * }} Options `form` is sent as a browser sends it
 * @typedef {Readonly<{status: number, body: string}>} Answer
 */

/**
 * Returns what the backend answers; rejects where nothing answers in time.
 *
 * @param {string} base for example http://127.0.0.1:8000
 * @param {string} path
 * @param {Options} options
 * @returns {Promise<Answer>}
 */
async function request(base, path, { method = 'GET', token = null, form, timeoutMs, signal }) {
  const url = new URL(path, base);
  const { request: ask, Agent } = url.protocol === 'https:' ? https : http;
  const sending = form === undefined ? null : new Response(form);
  const content = sending === null ? undefined : Buffer.from(await sending.arrayBuffer());
  const limit = AbortSignal.timeout(timeoutMs);
  return new Promise((resolve, reject) => {
    const sent = ask(url, {
      method,
      // An agent of its own, without proxy settings: the global one may follow HTTP_PROXY.
      agent: new Agent({ keepAlive: false }),
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...Object.fromEntries(sending?.headers ?? []),
      },
      signal: signal === undefined ? limit : AbortSignal.any([limit, signal]),
    });
    sent.on('error', reject);
    sent.on('response', (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('error', reject);
      response.on('data', (text) => {
        body += text;
        if (body.length > LARGEST_ANSWER)
          sent.destroy(new Error(`${path} answers with more than ${LARGEST_ANSWER} bytes`));
      });
      response.on('end', () => resolve(Object.freeze({ status: response.statusCode ?? 0, body })));
    });
    sent.end(content);
  });
}

module.exports = { request };

'use strict';

// The engine's environment.

/** Shown instead of the engine's real environment, which holds the user's secrets too. */
const SHOWN_ENVIRONMENT = Object.freeze({ PEFT_STUDIO_TOKEN: '(secret)' });

/** @param {Readonly<NodeJS.ProcessEnv>} environment of this process @param {string} token @returns {NodeJS.ProcessEnv} */
function engineEnvironment(environment, token) {
  const { PEFT_STUDIO_REMOTE_TOKEN: _token, ELECTRON_RUN_AS_NODE: _node, ...rest } = environment;
  return { ...rest, PEFT_STUDIO_TOKEN: token };
}

module.exports = { SHOWN_ENVIRONMENT, engineEnvironment };

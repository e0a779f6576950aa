/**
 * Runs before each test file and gives a shared process the environment that it started with, whatever an
 * earlier test file has changed.
 */
const shared = globalThis as { startedWith?: NodeJS.ProcessEnv }
shared.startedWith ??= { ...process.env }
for (const name of Object.keys(process.env)) {
  // Vitest's own variables stay, because they describe the running worker.
  if (!(name in shared.startedWith) && !name.startsWith('VITEST')) delete process.env[name]
}
Object.assign(process.env, shared.startedWith)

Error.stackTraceLimit = 10

/**
 * Before each test file: test files that share a process find it as it started, whatever an earlier one has changed and
 * however it ended.
 */
const shared = globalThis as { startedWith?: NodeJS.ProcessEnv }
shared.startedWith ??= { ...process.env }
for (const name of Object.keys(process.env)) {
  // Vitest's own, which say where it is.
  if (!(name in shared.startedWith) && !name.startsWith('VITEST')) delete process.env[name]
}
Object.assign(process.env, shared.startedWith)

Error.stackTraceLimit = 10

/**
 * Simulates a Lambda container up to its first event: loads the Node modules that the runtime and the AWS
 * clients need, asks the runtime API for work as the runtime does, imports the function's module, and prints
 * the CPU time of all that in milliseconds. `node container.mjs <module> <port of the runtime API>`
 */
const [, , module, port] = process.argv
// `require`, as in the runtime: an import of node:http would load much more.
const load = process.getBuiltinModule
for (const name of [
  'async_hooks',
  'crypto',
  'events',
  'fs',
  'https',
  'path',
  'perf_hooks',
  'stream',
  'url',
  'util',
])
  load(name)
const { Agent, request } = load('http')

const agent = new Agent({ keepAlive: true, maxSockets: 1 })
await new Promise((resolve, reject) => {
  request({ port, path: '/2018-06-01/runtime/invocation/next', agent }, (response) => {
    let event = ''
    response.on('data', (piece) => {
      event += piece
    })
    response.on('end', () => resolve(JSON.parse(event)))
  })
    .on('error', reject)
    .end()
})
await import(module)
const { user, system } = process.cpuUsage()
process.stdout.write(String((user + system) / 1000))
process.exit(0)

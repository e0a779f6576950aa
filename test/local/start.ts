/** `npm run dev`: starts everything, says what, and stays until it is told to stop. */
import { parseArgs } from 'node:util'
import { rows } from '../../functions/http/rows.ts'
import { startServer } from './server.ts'
import { walkThrough } from './walk-through.ts'

const USAGE = 'npm run dev -- [--port 3000] [--data .local | :memory:] [--no-schedule]'

async function main(): Promise<void> {
  const { port, data, schedule } = readArguments()
  console.log('Bursar starts on this machine; it needs no account, key or network.')
  const server = await startServer({
    port,
    dataFolder: data === ':memory:' ? undefined : data,
    schedule,
    reload: true,
    onStep: (step) => console.log(`  starting  ${step}`),
  })
  // More than once on Ctrl-C: the terminal tells npm and this process, and npm passes it on.
  let stopping: Promise<void> | undefined
  const stop = () => {
    if (!stopping) console.log('stopping')
    stopping ??= server.close().then(() => process.exit(0))
  }
  process.on('SIGINT', stop).on('SIGTERM', stop)
  console.log(
    `  data      ${data === ':memory:' ? 'in memory, gone when this stops' : `in ${data}/, kept; delete the folder to start afresh`}`,
  )
  console.log(`\nroutes\n${routeList()}\n`)
  console.log(`try it: paste this into another terminal\n\n${walkThrough(server.url)}\n`)
  console.log(`ready ${server.url}`)
}

function readArguments(): { port: number; data: string; schedule: boolean } {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '3000' },
      data: { type: 'string', default: '.local' },
      'no-schedule': { type: 'boolean', default: false },
    },
  })
  const port = Number(values.port)
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new Error(`--port ${values.port} is no port. Usage: ${USAGE}`)
  return { port, data: values.data, schedule: !values['no-schedule'] }
}

function routeList(): string {
  return rows
    .flatMap((row) => row.routes.map((key) => ({ key, row })))
    .map(({ key, row }) => {
      const [method = '', path = ''] = key.split(' ')
      return `  ${method.padEnd(6)} ${path.padEnd(34)} ${{ public: '      ', account: 'token ', key: 'key   ' }[row.auth]} ${row.summary}`
    })
    .join('\n')
}

/** The person at the terminal gets a sentence that says what to do, not a stack. */
function explain(error: NodeJS.ErrnoException & { port?: number }): string {
  if (error.code === 'EADDRINUSE') {
    return `Port ${error.port} is taken. Stop what listens there, or choose another: npm run dev -- --port 3100`
  }
  if (error.code?.startsWith('ERR_PARSE_ARGS')) return `${error.message} Usage: ${USAGE}`
  if (error.syscall === 'mkdir') {
    return `The data folder cannot be made (${error.message}). Choose another: npm run dev -- --data FOLDER`
  }
  return error.message
}

main().catch((error: Error) => {
  console.error(`Bursar did not start. ${explain(error)}`)
  process.exit(1)
})

/** `npm run dev`: starts everything, says what, and stays until it is told to stop. */
import { firstScreen, startingLine } from './first-screen.ts'
import { startServer } from './server.ts'
import { HELP, readOptions } from './start-options.ts'

async function main(): Promise<void> {
  const { port, data, schedule, routes, help, appUrl } = readOptions(process.argv.slice(2), process.env)
  if (help) return console.log(HELP)
  console.log('Bursar starts on this machine; it needs no account, key or network.')
  const server = await startServer({
    port,
    dataFolder: data === ':memory:' ? undefined : data,
    schedule,
    appUrl,
    reload: true,
    onStep: (step) => console.log(startingLine(step)),
  })
  // More than once on Ctrl-C: the terminal tells npm and this process, and npm passes it on.
  let stopping: Promise<void> | undefined
  const stop = () => {
    if (!stopping) console.log('stopping')
    stopping ??= server.close().then(() => process.exit(0))
  }
  process.on('SIGINT', stop).on('SIGTERM', stop)
  console.log(firstScreen({ url: server.url, data, routes }))
  // Programs wait for this line: it has no colour, and it is the last one.
  console.log(`ready ${server.url}`)
}

/** The person at the terminal gets a sentence that says what to do, not a stack. */
function explain(error: NodeJS.ErrnoException & { port?: number }): string {
  if (error.code === 'EADDRINUSE') {
    return `Port ${error.port} is taken. Stop what listens there, or choose another: npm run dev -- --port 3100`
  }
  if (error.syscall === 'mkdir') {
    return `The data folder cannot be made (${error.message}). Choose another: npm run dev -- --data FOLDER`
  }
  return error.message
}

main().catch((error: Error) => {
  console.error(`Bursar did not start. ${explain(error)}`)
  process.exit(1)
})

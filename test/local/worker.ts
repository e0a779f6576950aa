/** The thread behind `lambda.ts`: one container that runs every handler. */
import { randomUUID } from 'node:crypto'
import { pathToFileURL } from 'node:url'
import { parentPort, workerData } from 'node:worker_threads'
import type { Context } from 'aws-lambda'
import { installClock } from './clock.ts'
import { isIdleRun } from './idle-run.ts'
import type { Task } from './lambda.ts'
import { gatewayRoutes } from './routes.ts'

installClock(workerData.clock)
const log = console.log
console.log = (...words: unknown[]) => {
  if (!isIdleRun(words[0])) log(...words)
}

const TIMEOUT_MS = 30_000

async function run(task: Task): Promise<unknown> {
  if ('routes' in task) return gatewayRoutes()
  const { handler } = await import(pathToFileURL(task.file).href)
  return handler(task.event, context())
}

function context(): Partial<Context> {
  const endsMs = performance.now() + TIMEOUT_MS
  return { awsRequestId: randomUUID(), getRemainingTimeInMillis: () => endsMs - performance.now() }
}

parentPort?.on('message', async ({ id, task }: { id: number; task: Task }) => {
  try {
    parentPort?.postMessage({ id, value: await run(task) })
  } catch (error) {
    console.error(error)
    parentPort?.postMessage({ id, error: error instanceof Error ? error.message : String(error) })
  }
})

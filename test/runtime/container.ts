import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { readBody } from '../local/http.ts'

/** What a function has answered, or how it failed. */
export type Outcome = { answer: unknown } | { failure: string }

/** A container with one function under AWS's runtime client. */
export interface Container {
  /** Gives the function an event, as Lambda does. */
  invoke(event: unknown): Promise<Outcome>
  /** Stops all of it, as Lambda does between two events. */
  freeze(): void
  thaw(): void
  /** Its lines of log since the last call. */
  takeLog(): string[]
  stop(): Promise<void>
}

const LIMIT_MS = 30_000
const VERSION = '/2018-06-01/runtime'

/**
 * Starts a container.
 * @param program AWS's runtime client
 * @param folder that of the bundle
 * @param env the environment of the deployment, with Lambda's own variables
 */
export async function startContainer(
  program: string,
  folder: string,
  handler: string,
  env: Record<string, string>,
): Promise<Container> {
  let sequence = 0
  let next: ServerResponse | undefined
  let waiting: { id: string; event: unknown } | undefined
  const open = new Map<string, (outcome: Outcome) => void>()
  let ended: string | undefined

  // An event stays until it is answered: the client may lose one that arrives just as it is thawed, and asks again.
  const offer = () => {
    if (!next || !waiting) return
    const { id, event } = waiting
    const headers = {
      'content-type': 'application/json',
      'lambda-runtime-aws-request-id': id,
      'lambda-runtime-deadline-ms': String(Date.now() + LIMIT_MS),
      'lambda-runtime-invoked-function-arn': `arn:aws:lambda:eu-west-1:000000000000:function:${env.AWS_LAMBDA_FUNCTION_NAME}`,
      'lambda-runtime-trace-id': 'Root=1-00000000-000000000000000000000000',
    }
    next.writeHead(200, headers).end(JSON.stringify(event))
    next = undefined
  }
  const endAll = (failure: string) => {
    ended ??= failure
    for (const resolve of open.values()) resolve({ failure })
    open.clear()
  }

  /** The runtime API, from which the container fetches events and to which it brings answers. */
  const api = createServer(async (request, response) => {
    const url = request.url ?? ''
    if (url === `${VERSION}/invocation/next`) {
      next = response
      return offer()
    }
    const body = (await readBody(request)).toString()
    response.writeHead(202).end('{}')
    if (url === `${VERSION}/init/error`) return endAll(`init failed: ${body.slice(0, 500)}`)
    waiting = undefined
    const [, id = '', kind] = /\/invocation\/([^/]+)\/(response|error)$/.exec(url) ?? []
    open.get(id)?.(
      kind === 'response'
        ? { answer: body === '' ? undefined : JSON.parse(body) }
        : { failure: body.slice(0, 500) },
    )
    open.delete(id)
  })
  await once(api.listen(0, '127.0.0.1'), 'listening')

  const log: string[] = []
  const child: ChildProcess = spawn(process.execPath, [program, handler], {
    cwd: folder,
    env: {
      ...env,
      PATH: process.env.PATH ?? '',
      AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${(api.address() as AddressInfo).port}`,
      LAMBDA_TASK_ROOT: folder,
      _HANDLER: handler,
      NODE_OPTIONS: `--import ${join(import.meta.dirname, 'redirect.mjs')}`,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  for (const stream of [child.stdout, child.stderr]) {
    let rest = ''
    stream?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      log.push(...lines.filter((line) => line.trim() !== ''))
    })
  }
  const gone = new Promise<void>((resolve) => {
    child.once('close', (code, signal) => {
      endAll(`the container ended with ${code ?? signal}`)
      resolve()
    })
  })

  return {
    async invoke(event) {
      if (ended) return { failure: ended }
      const id = `00000000-0000-4000-8000-${String(++sequence).padStart(12, '0')}`
      waiting = { id, event }
      let timer: NodeJS.Timeout | undefined
      const outcome = new Promise<Outcome>((resolve) => {
        open.set(id, resolve)
        timer = setTimeout(() => resolve({ failure: `no answer within ${LIMIT_MS} ms` }), LIMIT_MS)
      })
      offer()
      return outcome.finally(() => clearTimeout(timer))
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    takeLog: () => log.splice(0),
    async stop() {
      child.kill('SIGKILL')
      await gone
      api.closeAllConnections()
      api.close()
    },
  }
}

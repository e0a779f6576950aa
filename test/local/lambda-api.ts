import type { ServerResponse } from 'node:http'
import { cut, type FaultControls, type OperationFault, operationFaults } from './faults.ts'
import { listen, readBody } from './http.ts'

/** An asynchronous invocation that was accepted. */
export interface Invocation {
  functionName: string
  event: unknown
}

export interface LambdaApiDouble extends FaultControls<OperationFault> {
  /** For AWS_ENDPOINT_URL_LAMBDA. */
  url: string
  /** Requests since the last reset, by operation, including those answered with an error. */
  calls(): Record<string, number>
  resetCalls(): void
  /** Takes the invocations that wait, oldest first. There are none if `onInvoke` runs them. */
  take(): Invocation[]
  close(): Promise<void>
}

const OPERATIONS = ['Invoke'] as const
const PATH = /^\/2015-03-31\/functions\/([A-Za-z0-9_-]{1,64})\/invocations$/

interface Answer {
  status: number
  body: string
}

const refusal = (status: number, type: string, Message: string): Answer => ({
  status,
  body: JSON.stringify({ Type: type, Message }),
})

/**
 * A double of Lambda's API with one operation: Invoke with the invocation type Event, which accepts an event
 * and answers before the function runs.
 *
 * Known differences from Lambda: the other invocation types, qualifiers and client contexts are refused; any
 * function name exists; an invocation runs once, without retries; signatures are not checked.
 * @param onInvoke runs an invocation. Without it invocations wait for `take`.
 */
export async function startLambdaApi(onInvoke?: (invocation: Invocation) => void): Promise<LambdaApiDouble> {
  let calls: Record<string, number> = {}
  let waiting: Invocation[] = []
  const faults = operationFaults(OPERATIONS)

  function invoke(url = '', headers: Record<string, unknown>, body: Buffer): Answer {
    const functionName = PATH.exec(url)?.[1]
    if (!functionName) return refusal(404, 'User', 'Only Invoke is here.')
    if (!String(headers.authorization).startsWith('AWS4-HMAC-SHA256 '))
      return refusal(403, 'User', 'Missing Authentication Token')
    if (headers['x-amz-invocation-type'] !== 'Event')
      return refusal(400, 'User', 'Only the invocation type Event is here.')
    const invocation = { functionName, event: JSON.parse(body.toString()) }
    if (onInvoke) onInvoke(invocation)
    else waiting.push(invocation)
    return { status: 202, body: '' }
  }

  const listener = await listen(async (request, response) => {
    const body = await readBody(request)
    calls.Invoke = (calls.Invoke ?? 0) + 1
    const answer = await faults.serve('Invoke', {
      serve: async () => invoke(request.url, request.headers, body),
      refuse: (why) =>
        why === 'error'
          ? refusal(500, 'Server', 'A fault was asked for.')
          : refusal(429, 'User', 'Rate Exceeded.'),
    })
    return answer ? send(response, answer) : cut(response)
  })

  return {
    url: listener.url,
    calls: () => ({ ...calls }),
    resetCalls: () => {
      calls = {}
    },
    take: () => {
      const taken = waiting
      waiting = []
      return taken
    },
    addFault: faults.addFault,
    clearFaults: faults.clearFaults,
    close: () => {
      faults.close()
      return listener.close()
    },
  }
}

function send(response: ServerResponse, { status, body }: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(body)
}

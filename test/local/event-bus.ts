import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import * as z from 'zod/mini'
import { cut, type FaultControls, type OperationFault, operationFaults } from './faults.ts'
import { listen, readBody } from './http.ts'
import { openState } from './state.ts'

/** An event that the bus has accepted. */
export interface BusEvent {
  id: string
  source: string
  'detail-type': string
  /** ISO time of the stack's clock. */
  time: string
  detail: unknown
}

export interface EventBusDouble extends FaultControls<OperationFault> {
  /** For AWS_ENDPOINT_URL_EVENTBRIDGE. */
  url: string
  /** The accepted events, oldest first. */
  events(): BusEvent[]
  /** Requests since the last reset, by operation, including those answered with an error. */
  calls(): Record<string, number>
  resetCalls(): void
  /** Removes every event. */
  clear(): void
  close(): Promise<void>
}

const event = z.object({
  id: z.string(),
  source: z.string(),
  'detail-type': z.string(),
  time: z.string(),
  detail: z.unknown(),
})

/** A request of PutEvents, as far as Bursar uses it. */
const putEvents = z.strictObject({
  Entries: z
    .array(
      z.strictObject({
        EventBusName: z.string().check(z.minLength(1)),
        // Events of `aws.` are AWS's own.
        Source: z.string().check(z.regex(/^(?!aws\.)./)),
        DetailType: z.string().check(z.minLength(1), z.maxLength(128)),
        Detail: z.string(),
      }),
    )
    .check(z.minLength(1), z.maxLength(10)),
})

interface Answer {
  status: number
  body: object
}

const refusal = (status: number, type: string, message: string): Answer => ({
  status,
  body: { __type: type, message },
})

/** What a JSON text holds; undefined unless it is an object. */
function objectIn(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

/**
 * A double of EventBridge with one operation, PutEvents, which keeps the events.
 *
 * Known differences from EventBridge: events reach no rule; a bus of any name exists; time, resources and trace header
 * of an entry are refused; a bad detail fails its entry alone as there; signatures are not checked.
 */
export async function startEventBus(options: {
  nowMs: () => number
  stateFile?: string
}): Promise<EventBusDouble> {
  const remedy = 'Delete the file; the bus then has no events.'
  const schema = z.object({ events: z.array(event) })
  const state = openState(
    { file: options.stateFile, schema, remedy },
    (): z.infer<typeof schema> => ({
      events: [],
    }),
  )
  let calls: Record<string, number> = {}
  const faults = operationFaults(['PutEvents'])

  function put(authorization: string | undefined, target: unknown, body: Buffer): Answer {
    if (!authorization?.startsWith('AWS4-HMAC-SHA256 '))
      return refusal(400, 'MissingAuthenticationTokenException', 'Missing Authentication Token')
    if (target !== 'AWSEvents.PutEvents')
      return refusal(400, 'UnknownOperationException', 'The double knows PutEvents only.')
    const request = z.safeParse(putEvents, objectIn(body.toString()))
    if (!request.success) return refusal(400, 'ValidationException', 'The entries are not valid.')
    const Entries = request.data.Entries.map(({ Source, DetailType, Detail }) => {
      const detail = objectIn(Detail)
      if (!detail) return { ErrorCode: 'MalformedDetail', ErrorMessage: 'Detail is malformed.' }
      const id = randomUUID()
      const time = new Date(options.nowMs()).toISOString()
      state.value.events.push({ id, source: Source, 'detail-type': DetailType, time, detail })
      return { EventId: id }
    })
    state.save()
    const FailedEntryCount = Entries.filter((entry) => 'ErrorCode' in entry).length
    return { status: 200, body: { FailedEntryCount, Entries } }
  }

  const listener = await listen(async (request, response) => {
    const body = await readBody(request)
    calls.PutEvents = (calls.PutEvents ?? 0) + 1
    const { authorization, 'x-amz-target': target } = request.headers
    const answer = await faults.serve('PutEvents', {
      serve: async () => put(authorization, target, body),
      refuse: (why) =>
        why === 'error'
          ? refusal(500, 'InternalException', 'A fault was asked for.')
          : refusal(400, 'ThrottlingException', 'Rate exceeded.'),
    })
    return answer ? send(response, answer) : cut(response)
  })

  return {
    url: listener.url,
    events: () => [...state.value.events],
    calls: () => ({ ...calls }),
    resetCalls: () => {
      calls = {}
    },
    clear: () => {
      state.value = { events: [] }
      state.save()
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
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify(body))
}

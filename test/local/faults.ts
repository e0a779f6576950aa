import type { ServerResponse } from 'node:http'

/** A fault that a double shall show, in the form that the controls under `/_local` take. */
export interface Fault<Name extends string = string> {
  fault: Name
  /**
   * Selects the requests that meet the fault; each double defines the form. If left out, every request does.
   */
  match?: string
  /**
   * How many requests meet the fault, including retries. If left out, all do until the faults are cleared.
   */
  times?: number
  /** How long the fault `delay` keeps a request waiting; the default is 1000. */
  delayMs?: number
}

/** What each double offers to the stack's controls and to tests. */
export interface FaultControls<F extends Fault> {
  /** @throws Error that lists what is possible, if the double does not have that fault. */
  addFault(fault: F): void
  clearFaults(): void
}

export interface FaultQueue<F extends Fault> {
  /** @throws Error that lists the faults, if there is no such fault. */
  add(fault: F): void
  clear(): void
  /**
   * Returns the oldest fault with one of these names for the request, and uses up one of the fault's `times`.
   */
  take(names: readonly F['fault'][], request: string): F | undefined
}

/** The longest time that a Node timer can wait. */
const LONGEST_MS = 2 ** 31 - 1

/** The faults that a double shall show, in the order in which they were added. */
export function faultQueue<F extends Fault>(
  names: readonly F['fault'][],
  /**
   * Returns a function that says which requests meet the fault. Throws an Error for an impossible `match`.
   */
  matcher: (fault: F) => (request: string) => boolean,
): FaultQueue<F> {
  let inForce: { fault: F; matches(request: string): boolean; left: number }[] = []
  return {
    add(fault) {
      check(fault, names)
      inForce.push({ fault, matches: matcher(fault), left: fault.times ?? Number.POSITIVE_INFINITY })
    },
    clear() {
      inForce = []
    },
    take(wanted, request) {
      const found = inForce.find(({ fault, matches }) => wanted.includes(fault.fault) && matches(request))
      if (!found) return undefined
      found.left -= 1
      if (found.left <= 0) inForce = inForce.filter((other) => other !== found)
      return found.fault
    },
  }
}

/** Checks a fault, which may come from a request and so be any JSON object. */
function check({ fault, match, times, delayMs }: Fault, names: readonly string[]): void {
  if (!names.includes(fault)) throw new Error(`No such fault: ${fault}. There are: ${names.join(', ')}.`)
  if (match !== undefined && typeof match !== 'string') throw new Error('match must be text.')
  if (times !== undefined && !(Number.isSafeInteger(times) && times > 0)) {
    throw new Error('times must be a whole number above 0; left out, the fault lasts until DELETE.')
  }
  const isDelay = typeof delayMs === 'number' && delayMs >= 0 && delayMs <= LONGEST_MS
  if (delayMs !== undefined && !isDelay) {
    throw new Error(`delayMs must be a number of milliseconds from 0 to ${LONGEST_MS}.`)
  }
}

// AWS services

const OPERATION_FAULTS = [
  /** The service answers 500 and does nothing. */
  'error-before',
  /** The service does the work and answers 500. */
  'error-after',
  /** The connection is reset and the service does nothing. */
  'lose-reply-before-commit',
  /** The service does the work, then the connection is reset. */
  'lose-reply-after-commit',
  /** The service starts on the request `delayMs` later. */
  'delay',
  /** The service refuses the request with its own error for too many requests. */
  'throttle',
] as const

/** A fault of an AWS service; `match` is the name of an operation. */
export type OperationFault<Extra extends string = never> = Fault<(typeof OPERATION_FAULTS)[number] | Extra>

export interface OperationFaults<Extra extends string = never> extends FaultControls<OperationFault<Extra>> {
  /** Serves a request or applies its fault. Undefined means that the connection is cut without an answer. */
  serve<Answer>(operation: string, service: Service<Answer, Extra>): Promise<Answer | undefined>
  /** Ends every delay; the waiting requests are not served. */
  close(): void
}

interface Service<Answer, Extra extends string> {
  serve(): Promise<Answer>
  /** The service's own error answer. With `error-after` the service has done the work all the same. */
  refuse(why: 'error' | 'throttle' | Extra): Answer
}

/**
 * The faults of a double of an AWS service.
 * @param operations the names of all operations.
 * @param extra faults that only this service has, each with the operations that can meet the fault. A request
 * of another operation passes and uses up none of the fault's `times`.
 */
export function operationFaults<Extra extends string = never>(
  operations: readonly string[],
  extra?: Readonly<Record<Extra, readonly string[]>>,
): OperationFaults<Extra> {
  const limited: Readonly<Record<string, readonly string[] | undefined>> = extra ?? {}
  const names = [...OPERATION_FAULTS, ...(Object.keys(limited) as Extra[])]
  const queue = faultQueue<OperationFault<Extra>>(names, ({ fault, match }) => {
    const meeting = limited[fault] ?? operations
    if (match !== undefined && !meeting.includes(match)) {
      throw new Error(`No operation ${match} meets the fault ${fault}. There are: ${meeting.join(', ')}.`)
    }
    return (operation) => meeting.includes(operation) && operation === (match ?? operation)
  })
  const closing = new AbortController()
  return {
    addFault(fault) {
      const stranger = Object.keys(fault).find((name) => !MEMBERS.includes(name))
      if (stranger !== undefined) {
        throw new Error(`No such member of a fault: ${stranger}. There are: ${MEMBERS.join(', ')}.`)
      }
      queue.add(fault)
    },
    clearFaults: queue.clear,
    async serve(operation, { serve, refuse }) {
      const { fault, delayMs = DELAY_MS } = queue.take(names, operation) ?? {}
      switch (fault) {
        case undefined:
          return serve()
        case 'error-before':
          return refuse('error')
        case 'error-after':
          await serve()
          return refuse('error')
        case 'lose-reply-before-commit':
          return undefined
        case 'lose-reply-after-commit':
          await serve()
          return undefined
        case 'delay':
          await pause(delayMs, closing.signal)
          return closing.signal.aborted ? undefined : serve()
        default:
          return refuse(fault)
      }
    },
    close: () => closing.abort(),
  }
}

const MEMBERS: readonly string[] = ['fault', 'match', 'times', 'delayMs'] satisfies (keyof Fault)[]

// On the wire

/** The default of a fault's `delayMs`. */
export const DELAY_MS = 1000

/**
 * Waits until `ms` have passed or `end` is aborted, so that a delay does not keep a stopped process alive.
 */
export function pause(ms: number, end: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      end.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, end.aborted ? 0 : ms)
    end.addEventListener('abort', done)
  })
}

/** Resets the connection instead of answering. */
export function cut(response: ServerResponse): void {
  response.socket?.resetAndDestroy()
}

import type { Decision, Measure, MeasureName, SpendRequest } from './spender.ts'

type Attributes = Record<string, string | number | boolean>

/** The part of `@opentelemetry/api` that the meter uses. */
export interface OpenTelemetry {
  trace: {
    getTracer(name: string): {
      startSpan(
        name: string,
        options?: { attributes?: Attributes },
      ): {
        setAttribute(name: string, value: string | number | boolean): unknown
        end(): void
      }
    }
  }
  metrics: {
    getMeter(name: string): {
      createCounter(name: string, options?: { description?: string; unit?: string }): Recorder
      createHistogram(name: string, options?: { description?: string; unit?: string }): RecorderOfValues
    }
  }
}
interface Recorder {
  add(value: number, attributes?: Attributes): void
}
interface RecorderOfValues {
  record(value: number, attributes?: Attributes): void
}

export interface Telemetry {
  measure: Measure
  /** Runs work that decides, in a span `bursar.<name>`, and counts its outcome. */
  around<D extends Decision>(name: string, request: SpendRequest, work: () => D | Promise<D>): D | Promise<D>
}

const SCOPE = 'bursar/meter'

/**
 * Spans `bursar.spend` and `bursar.reserve`, and the metrics `bursar.meter.*`. Neither has a key or an account among its
 * attributes: those would make a series for each customer.
 * @param given the API, or what loads it; false for none. Without it nothing is measured, and nothing is slower.
 */
export function openTelemetry(given: OpenTelemetry | false | undefined, nowMs: () => number): Telemetry {
  let instruments: Instruments | undefined
  if (given) instruments = instrumentsOf(given)
  else if (given === undefined) {
    void loadApi().then((api) => {
      if (api) instruments = instrumentsOf(api)
    })
  }
  return {
    measure: (name, value, attributes) => instruments?.measure(name, value, attributes),
    around(name, request, work) {
      if (instruments === undefined) return work()
      const { tracer, duration, decisions } = instruments
      const span = tracer.startSpan(`bursar.${name}`, { attributes: { 'bursar.units': request.units } })
      const startedMs = nowMs()
      const end = <D extends Decision>(decision: D): D => {
        const outcome = outcomeOf(decision)
        span.setAttribute('bursar.outcome', outcome)
        span.end()
        duration.record((nowMs() - startedMs) / 1000, { outcome })
        decisions.add(1, { outcome })
        return decision
      }
      const decision = work()
      return decision instanceof Promise ? decision.then(end) : end(decision)
    },
  }
}

/** `allowed`, `allowed_unavailable`, or the code of the refusal. */
const outcomeOf = (decision: Decision): string =>
  decision.allowed ? (decision.unavailable ? 'allowed_unavailable' : 'allowed') : decision.code

type Instruments = ReturnType<typeof instrumentsOf>

function instrumentsOf({ trace, metrics }: OpenTelemetry) {
  const meter = metrics.getMeter(SCOPE)
  const counter = (name: string, description: string) =>
    meter.createCounter(`bursar.meter.${name}`, { description })
  const batch = meter.createHistogram('bursar.meter.batch', { description: 'Requests of one call to Bursar' })
  const counters: Record<Exclude<MeasureName, 'batch'>, Recorder> = {
    hedge: counter('hedges', 'Second tries of calls to Bursar'),
    no_answer: counter('no_answer', 'Calls to which Bursar did not answer'),
    allowed_unavailable: counter('allowed_unavailable', 'Units that passed while Bursar did not answer'),
    uncollected: counter('uncollected', 'Units that were served and that Bursar refused for good'),
  }
  return {
    tracer: trace.getTracer(SCOPE),
    duration: meter.createHistogram('bursar.meter.duration', { description: 'Time to decide', unit: 's' }),
    decisions: counter('decisions', 'Decisions by outcome'),
    measure(name: MeasureName, value: number, attributes?: Attributes): void {
      if (name === 'batch') batch.record(value, attributes)
      else counters[name].add(value, attributes)
    },
  }
}

/** Loads the API if the service has it. The name is no literal, so that a bundler does not ask for a package that is absent. */
async function loadApi(): Promise<OpenTelemetry | undefined> {
  const name = ['@opentelemetry', 'api'].join('/')
  try {
    return (await import(/* webpackIgnore: true */ /* @vite-ignore */ name)) as OpenTelemetry
  } catch {
    return undefined
  }
}

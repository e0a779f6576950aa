import type { Ports } from '../../core/ports.ts'
import type { Item } from '../../core/table/table.ts'
import { breaking } from '../machine/faults.ts'

/** Attributes that are sealed, so that they differ from run to run, or that no flow changes. */
const UNTOLD = new Set(['pk', 'sk', 'defaultKey', 'keyHash', 'h0', 'invoicePrefix'])

/** Random ids, and digests of what has such ids, by number in the order in which they appear. */
function numbered(text: string): string {
  const seen = new Map<string, string>()
  const counts = new Map<string, number>()
  const nameOf = (kind: string, id: string) => {
    const known = seen.get(id)
    if (known) return known
    const count = (counts.get(kind) ?? 0) + 1
    counts.set(kind, count)
    seen.set(id, `${kind}-${count}`)
    return `${kind}-${count}`
  }
  // A digest may look like an id of Stripe in its middle, so digests come first; ids are longer.
  return text
    .replace(/(?<![\w-])[\w-]{22,24}(?![\w-])/g, (id) =>
      /^[0-9a-f]+$/.test(id) || !/[A-Z0-9]/.test(id) ? id : nameOf('digest', id),
    )
    .replace(/\b([a-z]+)_[A-Za-z0-9]{16,}(_secret_\w+)?/g, (id, kind: string) => nameOf(kind, id))
    .replace(/(?<=(SPENTID|RESERVED|RESERVATION)#)[0-9a-f]{12,}/g, (id) => nameOf('mac', id))
    .replace(/"due":"([A-Z]+)#\d+"/g, '"due":"$1"')
}

/** A value as JSON can have it, without what differs from run to run. */
const shown = (value: unknown): unknown =>
  value instanceof Uint8Array
    ? `${value.length} bytes`
    : value instanceof Set
      ? `${value.size} entries`
      : Array.isArray(value)
        ? value.map(shown)
        : value !== null && typeof value === 'object'
          ? Object.fromEntries(
              Object.entries(value).flatMap(([name, each]) =>
                UNTOLD.has(name) ? [] : [[name, shown(each)]],
              ),
            )
          : value

/** The attributes of an item that are other ones afterwards. */
function changesOf(before: Item | undefined, after: Item | undefined): Item | 'removed' | undefined {
  if (!after) return 'removed'
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after)])].sort()
  const other = names.filter(
    (name) =>
      !UNTOLD.has(name) && JSON.stringify(shown(before?.[name])) !== JSON.stringify(shown(after[name])),
  )
  if (other.length === 0) return undefined
  return Object.fromEntries(
    other.map((name) => [name, after[name] === undefined ? 'gone' : shown(after[name])]),
  )
}

/** Calls in their order; those that follow each other are counted. */
const counted = (calls: readonly string[]): string =>
  calls
    .reduce<[string, number][]>((runs, call) => {
      const last = runs.at(-1)
      if (last?.[0] === call) last[1]++
      else runs.push([call, 1])
      return runs
    }, [])
    .map(([call, times]) => (times === 1 ? call : `${call} x${times}`))
    .join(', ')

/** A step in a world: what it answers. @param via the world's ports, whose calls are counted */
export type Step<W> = (world: W, via: Ports) => Promise<unknown>

/** A world whose steps are played. */
interface Played {
  accountId: string
  ports: Ports
  advance(ms: number): void
}

/**
 * Plays steps, a second apart. @returns a text with the answer of each, its calls, what it has logged, and a line for each
 * item that it has changed.
 */
export async function playedSteps<W extends Played>(
  world: W,
  items: () => Item[],
  steps: Readonly<Record<string, Step<W>>>,
): Promise<string> {
  const itemsByName = () =>
    new Map(
      structuredClone(items()).map((item) => [
        item.pk === `ACCOUNT#${world.accountId}` ? String(item.sk) : `${item.pk} ${item.sk}`,
        item,
      ]),
    )
  const told: string[] = []
  for (const [title, step] of Object.entries(steps)) {
    const before = itemsByName()
    const lines: string[] = []
    const line = (level: string) => (what: string, _: unknown, context?: object) => {
      lines.push(`  ${level}: ${what} ${JSON.stringify(context)}`)
    }
    const log = { warn: line('warn'), error: line('error') }
    const { ports, calls } = breaking({ ...world.ports, log })
    const answer = await step(world, ports)
    const after = itemsByName()
    const changes = [...new Set([...before.keys(), ...after.keys()])].flatMap((name) => {
      const change = changesOf(before.get(name), after.get(name))
      return change === undefined ? [] : [`  ${name} ${JSON.stringify(change)}`]
    })
    told.push(
      `${title}: ${answer ?? 'done'}`,
      ...(calls.length > 0 ? [`  calls: ${counted(calls)}`] : []),
      ...lines,
      ...changes,
    )
    world.advance(1000)
  }
  return `${numbered(told.join('\n'))}\n`
}

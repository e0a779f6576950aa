/** Numbers and switches by name, some of them in groups. */
interface Group {
  [name: string]: number | boolean | Group
}

/** All names of a group: `viral.day` is `day` of the group `viral`. */
export const namesIn = (group: object, prefix = ''): string[] =>
  Object.entries(group).flatMap(([name, value]) =>
    typeof value === 'object' && value !== null ? namesIn(value, `${prefix}${name}.`) : [prefix + name],
  )

/** @throws Error with a sentence for a text that is no value of the same type */
function readValue(name: string, text: string, before: unknown): number | boolean {
  if (typeof before === 'boolean') {
    if (text === 'true' || text === 'false') return text === 'true'
    throw new Error(`${name} must be true or false, not ${text}.`)
  }
  const value = Number(text)
  if (text === '' || !Number.isFinite(value) || value < 0)
    throw new Error(`${name} must be a number from 0 on, not ${text}.`)
  return value
}

/** The same with some values changed, such as `viral.day=3`. @param all has the names, each with its value before */
export function overridden<T extends object>(all: T, changes: readonly (readonly [string, string])[]): T {
  const copy = structuredClone(all)
  for (const [name, text] of changes) {
    const path = name.split('.')
    const last = path.pop() ?? ''
    const group = path.reduce<Group>((of, part) => of[part] as Group, copy as unknown as Group)
    group[last] = readValue(name, text, group[last])
  }
  return copy
}

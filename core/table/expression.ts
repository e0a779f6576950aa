/**
 * DynamoDB expressions as tagged templates: `#name` in the text is an attribute name, `${value}` a value.
 *
 *     expr`SET #status = ${'active'}, #sessions.${attr(sessionId)} = ${nowMs}`
 *
 * Every name is aliased, so reserved words and names with dots are safe. A value never becomes part of the
 * text.
 */
export interface Expression {
  readonly text: readonly string[]
  readonly args: readonly unknown[]
}

/** An attribute name known only at run time. */
class Attribute {
  readonly name: string
  constructor(name: string) {
    this.name = name
  }
}

export const attr = (name: string): Attribute => new Attribute(name)

export function expr(text: TemplateStringsArray, ...args: unknown[]): Expression {
  return { text: [...text], args }
}

/** Joins several expressions into one, such as conditions by ` AND `. */
export function join(parts: readonly Expression[], separator: string): Expression {
  const text = ['']
  const args: unknown[] = []
  parts.forEach((part, at) => {
    const [first = '', ...rest] = part.text
    text[text.length - 1] += (at > 0 ? separator : '') + first
    text.push(...rest)
    args.push(...part.args)
  })
  return { text, args }
}

/** `SET a, b REMOVE c`. An empty list leaves out its part. */
export const setRemove = (set: readonly Expression[], remove: readonly Expression[]): Expression =>
  join(
    [
      ...(set.length > 0 ? [join([expr`SET `, join(set, ', ')], '')] : []),
      ...(remove.length > 0 ? [join([expr`REMOVE `, join(remove, ', ')], '')] : []),
    ],
    ' ',
  )

/** The condition that these attributes are unchanged since `item` was read. */
export const unchangedSince = <T extends object>(item: T, names: readonly (keyof T & string)[]): Expression =>
  join(
    names.map((name) =>
      item[name] === undefined
        ? expr`attribute_not_exists(${attr(name)})`
        : expr`${attr(name)} = ${item[name]}`,
    ),
    ' AND ',
  )

/** Names and values of one request. Rendering the request's expressions one after another fills them in. */
export interface Placeholders {
  ExpressionAttributeNames?: Record<string, string>
  ExpressionAttributeValues?: Record<string, unknown>
}

/** Renders the expression's text with placeholders and adds their names and values to `into`. */
export function render(expression: Expression, into: Placeholders): string {
  const rendered = expression.text.map((piece, at) => {
    for (const [alias, name] of piece.matchAll(/#(\w+)/g)) alias && nameOf(into, alias, name)
    if (at === expression.args.length) return piece
    return piece + placeholder(expression.args[at], into)
  })
  return rendered.join('')
}

function placeholder(arg: unknown, into: Placeholders): string {
  if (arg instanceof Attribute) {
    const alias = `#_${Object.keys(into.ExpressionAttributeNames ?? {}).length}`
    return nameOf(into, alias, arg.name)
  }
  into.ExpressionAttributeValues ??= {}
  const alias = `:${Object.keys(into.ExpressionAttributeValues).length}`
  into.ExpressionAttributeValues[alias] = arg
  return alias
}

function nameOf(into: Placeholders, alias: string, name: string | undefined): string {
  into.ExpressionAttributeNames ??= {}
  into.ExpressionAttributeNames[alias] = name ?? alias.slice(1)
  return alias
}

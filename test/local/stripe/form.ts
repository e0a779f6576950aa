/** A decoded form: `a[b]=1&c[]=2&c[]=3` is `{a: {b: '1'}, c: ['2', '3']}`. */
export interface Form {
  [name: string]: string | Form | (string | Form)[]
}

/** Decodes a query string or a form body with nested brackets. The last value of a repeated name counts. */
export function parseForm(text: string): Form {
  const form: Form = Object.create(null)
  for (const [key, value] of new URLSearchParams(text)) {
    const [name, ...rest] = key.split('[')
    put(form, [name!, ...rest.map((part) => part.replace(/\]$/, ''))], value)
  }
  return form
}

function put(form: Form, [name, ...rest]: string[], value: string): void {
  if (rest.length === 0) {
    form[name!] = value
    return
  }
  if (rest[0] === '') {
    const list = Array.isArray(form[name!]) ? (form[name!] as (string | Form)[]) : []
    form[name!] = list
    if (rest.length === 1) {
      list.push(value)
      return
    }
    const inner: Form = Object.create(null)
    list.push(inner)
    put(inner, rest.slice(1), value)
    return
  }
  const existing = form[name!]
  const inner: Form =
    typeof existing === 'object' && !Array.isArray(existing) ? existing : Object.create(null)
  form[name!] = inner
  put(inner, rest, value)
}

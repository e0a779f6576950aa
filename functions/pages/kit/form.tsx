import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef, useState } from 'preact/hooks'
import { problemText, refusedFields, retryText } from './problem.ts'
import { words } from './words.ts'

export interface FieldSpec {
  name: string
  label: string
  type?: 'text' | 'email' | 'password' | 'number' | 'date' | 'select' | 'checkbox' | 'textarea'
  hint?: ComponentChildren
  autocomplete?: string
  inputmode?: 'numeric' | 'decimal'
  required?: boolean
  value?: string | boolean | undefined
  options?: readonly { value: string; label: string }[]
  min?: number
  max?: number
  minlength?: number
  maxlength?: number
  pattern?: string
  step?: string
}

export type Values = Record<string, string>

interface FormProps {
  fields: readonly FieldSpec[]
  submit: string
  /** Does what the form is for. An error is shown, at its field if it names one; the fields keep what was typed. */
  onSubmit(values: Values): Promise<unknown>
  /** Said after success; without it the page shows the success by itself. */
  done?: string
  /** Whether the fields are emptied after success. */
  resets?: boolean
  danger?: boolean
  disabled?: boolean
  /** Beside the button. */
  aside?: ComponentChildren
  children?: ComponentChildren
}

/** A form with labels, hints and errors that screen readers hear, which is sent once however often it is clicked. */
export function Form({
  fields,
  submit,
  onSubmit,
  done,
  resets,
  danger,
  disabled,
  aside,
  children,
}: FormProps) {
  const [error, setError] = useState<unknown>()
  const [state, setState] = useState<'ready' | 'busy' | 'done'>('ready')
  const form = useRef<HTMLFormElement>(null)
  const summary = useRef<HTMLDivElement>(null)
  const refused = refusedFields(error)
  const named = fields.some(({ name }) => name in refused)

  useEffect(() => {
    if (error === undefined) return
    const first = form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')
    ;(first ?? summary.current)?.focus()
  }, [error])

  async function send(event: Event) {
    event.preventDefault()
    if (state === 'busy' || !form.current) return
    const values = Object.fromEntries(
      [...new FormData(form.current)].map(([name, value]) => [name, String(value)]),
    )
    setState('busy')
    setError(undefined)
    try {
      await onSubmit(values)
      setState('done')
      if (resets) form.current?.reset()
    } catch (failure) {
      setError(failure)
      setState('ready')
    }
  }

  return (
    <form ref={form} onSubmit={send} onInput={() => state === 'done' && setState('ready')}>
      {error !== undefined && (
        <div class="notice bad" role="alert" tabIndex={-1} ref={summary}>
          <p>{problemText(error)}</p>
          {retryText(error) && <p>{retryText(error)}</p>}
          {!named && Object.entries(refused).map(([name, text]) => <p key={name}>{`${name}: ${text}`}</p>)}
        </div>
      )}
      {fields.map((spec) => (
        <Field key={spec.name} {...spec} error={refused[spec.name]} />
      ))}
      {children}
      <div class="actions">
        <button
          type="submit"
          class={danger ? 'danger' : undefined}
          aria-disabled={state === 'busy' || disabled}
        >
          {state === 'busy' && <span class="spinner" aria-hidden="true" />}
          {submit}
        </button>
        {aside}
        <span role="status" class="done">
          {state === 'done' && done}
        </span>
      </div>
    </form>
  )
}

/** One field with its label, hint and error. */
export function Field({
  error,
  hint,
  label,
  type = 'text',
  value,
  options,
  ...spec
}: FieldSpec & { error?: string | undefined }) {
  const id = useId()
  const described = [error && `${id}-error`, hint && `${id}-hint`].filter(Boolean).join(' ') || undefined
  const common = { ...spec, id, 'aria-invalid': error ? true : undefined, 'aria-describedby': described }
  const text = typeof value === 'string' ? value : undefined
  const control =
    type === 'select' ? (
      <select {...common}>
        {options?.map((option) => (
          <option key={option.value} value={option.value} selected={option.value === text}>
            {option.label}
          </option>
        ))}
      </select>
    ) : type === 'textarea' ? (
      <textarea {...common} rows={3} defaultValue={text} />
    ) : type === 'checkbox' ? (
      <input {...common} type="checkbox" value="on" defaultChecked={value === true} />
    ) : (
      <input {...common} type={type as 'text'} defaultValue={text} />
    )
  return (
    <div class={type === 'checkbox' ? 'field check' : 'field'}>
      {type === 'checkbox' && control}
      <label for={id}>
        {label}{' '}
        {!spec.required && type !== 'checkbox' && type !== 'select' && <small>{words.optional}</small>}
      </label>
      {type !== 'checkbox' && control}
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {error && (
        <p class="error" id={`${id}-error`}>
          {error}
        </p>
      )}
    </div>
  )
}

/** A button that does something at once, says that it is at it, and shows its error beside it. */
export function ActionButton({
  run,
  children,
  label,
  class: look = 'quiet',
}: {
  run(): Promise<unknown>
  children: ComponentChildren
  /** What it acts on, if the visible text does not say so. */
  label?: string
  class?: string
}) {
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const alive = useRef(true)
  useEffect(
    () => () => {
      alive.current = false
    },
    [],
  )
  async function act() {
    if (busy) return
    setBusy(true)
    setError(undefined)
    try {
      await run()
    } catch (failure) {
      if (alive.current) setError(failure)
    }
    if (alive.current) setBusy(false)
  }
  return (
    <>
      <button type="button" class={look} aria-label={label} aria-disabled={busy} onClick={act}>
        {busy && <span class="spinner" aria-hidden="true" />}
        {children}
      </button>
      {error !== undefined && (
        <span class="error" role="alert">
          {problemText(error)} {retryText(error)}
        </span>
      )}
    </>
  )
}

import { BursarError, newRequestId } from 'bursar/client'
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Copy } from '../kit/copy.tsx'
import { Dialog } from '../kit/dialog.tsx'
import { type FieldSpec, Form, type Values } from '../kit/form.tsx'
import { type CallName, may } from './api.ts'
import { useMe } from './me.tsx'
import { t } from './messages.ts'

/** A fact of what an action is about, as it is shown before and after. */
export type Fact = readonly [label: string, text: string]

/** What an action answers: a sentence, and a secret that nothing can show again. */
export interface Done {
  text: string
  secret?: { label: string; text: string }
}

/** Something that an operator can do, as data. `Of` is what it is done to. */
export interface Action<Of> {
  /** The endpoint, whose role decides who sees the action. */
  call: CallName
  title: string
  /** On the button that opens it, if not the title. */
  verb?: string
  danger?: boolean
  fields?(of: Of): readonly FieldSpec[]
  /** One sentence that says what will change, from how things stand and what is typed. */
  says(of: Of, values: Values): ComponentChildren
  /** @param request names the request: a repeat under the same name does nothing twice, if the endpoint knows names */
  run(of: Of, values: Values, request: string): Promise<Done>
  /** Whether the endpoint knows names of requests. */
  named?: boolean
}

interface DialogProps<Of> {
  action: Action<Of>
  of: Of
  /** Reads again what was changed; undefined if it is gone. */
  refresh(): Promise<Of | undefined>
  /** What is compared before and after. */
  factsOf?(of: Of): readonly Fact[]
  onClose(): void
}

/** Undefined fields are what forms call empty. */
export const given = (text: string | undefined): string | undefined => text?.trim() || undefined

/** No answer says whether it was done. */
const isLost = (error: unknown): boolean =>
  error instanceof BursarError &&
  (error.status === 0 || error.status >= 500 || error.code === 'request_in_flight')

type State =
  | { is: 'form' }
  | { is: 'lost'; values: Values }
  | { is: 'done'; done: Done; changes: readonly { label: string; before: string; after: string }[] }

/** Says what will change, asks for a reason and what else is needed, does it, and shows what has changed. */
export function ActionDialog<Of>({ action, of, refresh, factsOf, onClose }: DialogProps<Of>) {
  const [state, setState] = useState<State>({ is: 'form' })
  const [values, setValues] = useState<Values>({})
  // One name until it is settled: whoever sends it again after a lost answer does nothing twice.
  const request = useRef(newRequestId())
  const before = useRef(of)
  const fields = action.fields?.(before.current) ?? []

  async function send(sent: Values) {
    let done: Done
    try {
      done = await action.run(before.current, sent, request.current)
    } catch (error) {
      if (!isLost(error)) {
        // It was refused, so nothing was done under this name.
        request.current = newRequestId()
        throw error
      }
      setState({ is: 'lost', values: sent })
      return
    }
    const now = await refresh().catch(() => undefined)
    setState({
      is: 'done',
      done,
      changes: now && factsOf ? changesOf(factsOf(before.current), factsOf(now)) : [],
    })
  }

  return (
    <Dialog title={action.title} onClose={onClose}>
      {state.is === 'form' && (
        <div
          class="action"
          onInput={({ target }) => {
            const { form } = target as HTMLInputElement
            if (form)
              setValues(
                Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value)])),
              )
          }}
        >
          <p class="says" aria-live="polite">
            {action.says(before.current, values)}
          </p>
          <Form
            submit={action.verb ?? action.title}
            danger={action.danger === true}
            onSubmit={send}
            fields={[
              ...fields,
              {
                name: 'reason',
                label: t.action.reason,
                hint: t.action.reasonHint,
                required: true,
                minlength: 3,
                maxlength: 500,
              },
            ]}
            aside={
              <button type="button" class="quiet" onClick={onClose}>
                {t.words.cancel}
              </button>
            }
          />
        </div>
      )}
      {state.is === 'lost' && (
        <Lost {...state} action={action} send={send} onClose={onClose} refresh={refresh} />
      )}
      {state.is === 'done' && <WhatChanged {...state} onClose={onClose} />}
    </Dialog>
  )
}

interface LostProps<Of> {
  values: Values
  action: Action<Of>
  send(values: Values): Promise<void>
  refresh(): Promise<unknown>
  onClose(): void
}

/** No answer came. The same request, under the same name, may be sent again; another one may not. */
function Lost<Of>({ values, action, send, refresh, onClose }: LostProps<Of>) {
  const notice = useFocus()
  return (
    <>
      <div class="notice warn" role="alert" tabIndex={-1} ref={notice}>
        <p>{t.action.lost}</p>
        <p>{action.named ? t.action.lostNamed : t.action.lostUnnamed}</p>
      </div>
      <Form
        submit={t.action.again}
        fields={[]}
        onSubmit={() => send(values)}
        aside={
          <button
            type="button"
            class="quiet"
            onClick={() => {
              refresh().catch(() => {})
              onClose()
            }}
          >
            {t.action.look}
          </button>
        }
      />
    </>
  )
}

function WhatChanged({ done, changes, onClose }: Omit<State & { is: 'done' }, 'is'> & { onClose(): void }) {
  const notice = useFocus()
  return (
    <>
      <div class="notice good" role="status" tabIndex={-1} ref={notice}>
        <p>{done.text}</p>
      </div>
      {done.secret && (
        <>
          <Copy label={done.secret.label} text={done.secret.text} />
          <p class="hint">{t.action.secretOnce}</p>
        </>
      )}
      {changes.length > 0 && (
        <table>
          <caption class="hidden">{t.action.changed}</caption>
          <thead>
            <tr>
              <th scope="col">{t.action.changed}</th>
              <th scope="col">{t.action.before}</th>
              <th scope="col">{t.action.after}</th>
            </tr>
          </thead>
          <tbody>
            {changes.map(({ label, before, after }) => (
              <tr key={label}>
                <th scope="row">{label}</th>
                <td>{before}</td>
                <td>
                  <strong>{after}</strong>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <div class="actions">
        <button type="button" onClick={onClose}>
          {t.words.close}
        </button>
      </div>
    </>
  )
}

function useFocus() {
  const element = useRef<HTMLDivElement>(null)
  useEffect(() => element.current?.focus(), [])
  return element
}

function changesOf(before: readonly Fact[], after: readonly Fact[]) {
  const was = new Map(before)
  return after
    .map(([label, text]) => ({ label, before: was.get(label) ?? '–', after: text }))
    .filter(({ before, after }) => before !== after)
}

interface ActionsProps<Of> extends Omit<DialogProps<Of>, 'action' | 'onClose'> {
  actions: readonly Action<Of>[]
  /** Whom or what the buttons act on, where several look alike. */
  about?: string
}

/** The actions that the operator's role allows, as buttons that open their dialogs. */
export function Actions<Of>({ actions, about, ...rest }: ActionsProps<Of>) {
  const { role } = useMe()
  const [open, setOpen] = useState<Action<Of>>()
  const allowed = actions.filter(({ call }) => may(role, call))
  // A dialog stays until it is closed, although what it did has ended what its button was for.
  if (allowed.length === 0 && !open) return null
  return (
    <div class="verbs">
      {allowed.map((action) => (
        <button
          key={action.title}
          type="button"
          class={action.danger ? 'quiet risky' : 'quiet'}
          aria-label={about ? `${action.verb ?? action.title}: ${about}` : undefined}
          onClick={() => setOpen(action)}
        >
          {action.verb ?? action.title}
        </button>
      ))}
      {open && <ActionDialog action={open} {...rest} onClose={() => setOpen(undefined)} />}
    </div>
  )
}

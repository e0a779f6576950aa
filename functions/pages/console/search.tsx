import { signal } from '@preact/signals'
import { useRef, useState } from 'preact/hooks'
import { useLocation } from 'preact-iso'
import { hasCode, problemText } from '../kit/problem.ts'
import { type Answer, call } from './api.ts'
import { t } from './messages.ts'
import { href } from './paths.ts'

export type AccountPage = Answer<'find'>

/** The account that was found last, so that its page need not read it again. */
export const found = signal<AccountPage | undefined>(undefined)

/** Accounts that were looked at since the page was loaded, the last one first. */
export const seen = signal<readonly { id: string; username: string; email: string }[]>([])

export function remember({ account: { id, username, email } }: AccountPage): void {
  seen.value = [{ id, username, email }, ...seen.value.filter((each) => each.id !== id)].slice(0, 8)
}

const WHOLE_KEY = /^(bsr_[0-9a-f]{64}_\S*|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i

/** A whole key never leaves the page: its first 8 and last 4 characters find it. */
export const queryOf = (text: string): string =>
  WHOLE_KEY.test(text) ? `${text.slice(0, 8)}...${text.slice(-4)}` : text

/** The box on top of every page, with which everything begins. */
export function SearchBox() {
  const { route } = useLocation()
  const input = useRef<HTMLInputElement>(null)
  const [state, setState] = useState<{ busy?: true; error?: string }>({})

  async function search(event: Event) {
    event.preventDefault()
    const query = queryOf(input.current?.value.trim() ?? '')
    if (query === '' || state.busy) return
    setState({ busy: true })
    try {
      const page = await call('find', { query })
      found.value = page
      setState({})
      if (input.current) input.current.value = ''
      // The id alone is in the address, no mail address and no name.
      route(href('account', { id: page.account.id }))
    } catch (error) {
      setState({ error: hasCode(error, 'not_found') ? t.search.nothing(query) : problemText(error) })
      input.current?.select()
    }
  }

  return (
    // biome-ignore lint/a11y/useSemanticElements: a form that is sent by Enter, and the landmark at once
    <form class="search" role="search" onSubmit={search}>
      <input
        ref={input}
        id="search"
        type="search"
        aria-label={t.search.label}
        aria-describedby="search-said"
        aria-invalid={state.error ? true : undefined}
        aria-keyshortcuts="/"
        placeholder={t.search.placeholder}
        autocomplete="off"
        spellcheck={false}
        maxLength={320}
        onInput={() => state.error && setState({})}
      />
      {state.busy ? (
        <span class="spinner" aria-hidden="true" />
      ) : (
        <span class="key" aria-hidden="true">
          /
        </span>
      )}
      <p id="search-said" role="status" class={state.error ? 'said error' : 'said'}>
        {state.error}
      </p>
    </form>
  )
}

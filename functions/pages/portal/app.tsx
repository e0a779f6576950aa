import { signal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect, useErrorBoundary } from 'preact/hooks'
import { ErrorBoundary, LocationProvider, lazy, Route, Router, useLocation } from 'preact-iso'
import { Dialog } from '../kit/dialog.tsx'
import { Failure, Load, type Resource, useResource } from '../kit/resource.tsx'
import { applyAccent } from '../kit/theme.ts'
import { config } from './config.ts'
import { Account, ConfigContext } from './context.tsx'
import { t } from './messages.ts'
import { Foot, Name, Page } from './page.tsx'
import { href, isAt, type PageName, paths } from './paths.ts'
import { ProofDialog } from './proof.tsx'
import { restored, session, signOut } from './session.ts'
import { SignInForm } from './sign-in-form.tsx'

type PageCode = () => Promise<{ default: () => ComponentChildren }>

const loads: PageCode[] = []

/** A page whose code comes when it is shown, or before that when the browser has nothing to do. */
function page(load: PageCode) {
  loads.push(load)
  return lazy(async () => load().catch(() => ({ default: Unloaded })) as never)
}

/** Fetches the code of all pages, so that the next one is there at once, without a network too. */
function fetchPages(): void {
  requestIdle(() => {
    for (const load of loads) load().catch(() => {})
  })
}

/** Safari has no `requestIdleCallback`. */
function requestIdle(run: () => void): void {
  if (typeof requestIdleCallback === 'function') requestIdleCallback(run)
  else setTimeout(run, 1_000)
}

function Unloaded() {
  return (
    <main id="main">
      <div class="notice bad" role="alert">
        <p>{t.words.offline}</p>
        <button type="button" class="quiet" onClick={() => location.reload()}>
          {t.words.tryAgain}
        </button>
      </div>
    </main>
  )
}

/** Pages that need no account. */
const open = {
  signIn: page(() => import('./pages/sign-in.tsx')),
  register: page(() => import('./pages/register.tsx')),
  confirm: page(() => import('./pages/confirm.tsx')),
  reset: page(() => import('./pages/reset.tsx')),
  recovery: page(() => import('./pages/recovery.tsx')),
  stopRecovery: page(() => import('./pages/stop-recovery.tsx')),
  stopRenewal: page(() => import('./pages/renewal-link.tsx')),
  allowRenewal: page(() => import('./pages/renewal-link.tsx')),
  invitation: page(() => import('./pages/invitation.tsx')),
} satisfies Partial<Record<PageName, unknown>>

/** Pages of the account. */
const own = {
  overview: page(() => import('./pages/overview.tsx')),
  usage: page(() => import('./pages/usage.tsx')),
  bundle: page(() => import('./pages/bundle.tsx')),
  renewal: page(() => import('./pages/auto-renewal.tsx')),
  cards: page(() => import('./pages/cards.tsx')),
  invoices: page(() => import('./pages/invoices.tsx')),
  statement: page(() => import('./pages/statement.tsx')),
  keys: page(() => import('./pages/keys.tsx')),
  security: page(() => import('./pages/security.tsx')),
  notices: page(() => import('./pages/notices.tsx')),
  profile: page(() => import('./pages/profile.tsx')),
} satisfies Partial<Record<PageName, unknown>>

/** Pages of the account that no menu has. */
const inner = {
  purchase: page(() => import('./pages/purchase.tsx')),
  invoice: page(() => import('./pages/invoice.tsx')),
} satisfies Partial<Record<PageName, unknown>>

const routesOf = (pages: object) =>
  Object.entries(pages).map(([name, component]) => (
    <Route key={name} path={paths[name as PageName]} component={component} />
  ))

const menuOpen = signal(false)

export function App() {
  const deployment = useResource(config)
  useEffect(() => {
    applyAccent(deployment.value?.theme.color)
  }, [deployment.value])
  const ready = useResource(restored)
  if (deployment.value === undefined || ready.value === undefined) return <Waiting of={[deployment, ready]} />
  return (
    <ConfigContext.Provider value={deployment.value}>
      <LocationProvider scope={/^\/(?!console|docs|_local)/}>
        <a class="skip" href="#main">
          {t.words.skip}
        </a>
        <Pages />
        <SignInAgain />
      </LocationProvider>
    </ConfigContext.Provider>
  )
}

/** One level of routes: the pages before the account, or those in its frame. */
function Pages() {
  const { path } = useLocation()
  const isOpen = Object.keys(open).some((name) => isAt(path, name as PageName))
  return isOpen ? (
    <ErrorBoundary>
      <Router>{routesOf(open)}</Router>
    </ErrorBoundary>
  ) : (
    <Signed />
  )
}

function Waiting({ of }: { of: readonly Resource<unknown>[] }) {
  const failed = of.find(({ error }) => error !== undefined)
  return (
    <div class="narrow">
      {failed ? (
        <Failure error={failed.error} retry={failed.reload} />
      ) : (
        <Load of={of[0] as Resource<unknown>}>{() => null}</Load>
      )}
    </div>
  )
}

/** The pages of somebody who is signed in; anybody else signs in first and then gets there. */
function Signed() {
  const { url, route } = useLocation()
  const state = session.value
  useEffect(fetchPages, [])
  useEffect(() => {
    if (state === 'out')
      route(url === '/' ? href('signIn') : `${href('signIn')}?to=${encodeURIComponent(url)}`, true)
    else if (url === '/') route(href('overview'), true)
  }, [state, url])
  if (state === 'out' || url === '/') return null
  return (
    <Account>
      <Frame>
        <Guarded>
          <ErrorBoundary>
            <Router onRouteChange={() => (menuOpen.value = false)}>
              {routesOf({ ...own, ...inner })}
              <Route default component={Missing} />
            </Router>
          </ErrorBoundary>
        </Guarded>
      </Frame>
      <ProofDialog />
    </Account>
  )
}

/** A page that fails says so, and the rest stays usable; another page is a fresh start. */
function Guarded({ children }: { children: ComponentChildren }) {
  const { path } = useLocation()
  const [error, reset] = useErrorBoundary()
  useEffect(reset, [path])
  if (!error) return children
  return (
    <main id="main">
      <Failure error={error} retry={reset} />
    </main>
  )
}

function Missing() {
  return (
    <Page title={t.missing.title}>
      <p>{t.missing.text}</p>
      <p>
        <a href={href('overview')}>{t.nav.overview}</a>
      </p>
    </Page>
  )
}

function Frame({ children }: { children: ComponentChildren }) {
  const { path } = useLocation()
  return (
    <ConfigContext.Consumer>
      {(of) => (
        <>
          <header class="bar">
            <button
              type="button"
              class="quiet menu"
              aria-expanded={menuOpen.value}
              aria-controls="side"
              onClick={() => (menuOpen.value = !menuOpen.value)}
            >
              {t.words.menu}
            </button>
            <Name of={of} />
            <div class="end">
              <button type="button" class="quiet" onClick={() => signOut().catch(() => {})}>
                {t.signOut}
              </button>
            </div>
          </header>
          <div class="frame">
            <nav class={menuOpen.value ? 'side open' : 'side'} id="side" aria-label={t.words.menu}>
              <ul>
                {Object.keys(own).map((name) => {
                  const to = paths[name as keyof typeof own]
                  const here = path === to || path.startsWith(`${to}/`)
                  return (
                    <li key={name}>
                      <a href={to} aria-current={here ? 'page' : undefined}>
                        {t.nav[name as keyof typeof own]}
                      </a>
                    </li>
                  )
                })}
              </ul>
            </nav>
            {children}
          </div>
          <Foot of={of} />
        </>
      )}
    </ConfigContext.Consumer>
  )
}

/** Over the page whose session has ended, so that what was typed there is still there afterwards. */
function SignInAgain() {
  if (session.value !== 'ended') return null
  return (
    <Dialog title={t.signIn.again}>
      <p>{t.signIn.againText}</p>
      <SignInForm onDone={() => {}} />
      <p>
        <a href={href('signIn')} onClick={() => (session.value = 'out')}>
          {t.signIn.another}
        </a>
      </p>
    </Dialog>
  )
}

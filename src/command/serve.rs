//! `signa serve`: the gateway until it is told to stop.

use std::net::ToSocketAddrs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::Serve;
use super::gateway::Gateway;
use crate::clock::Clock;
use crate::config::Config;

/// Serves.
pub async fn run(arguments: &Serve) -> Result<ExitCode> {
    let mut config = Config::read(arguments.config.as_deref(), |name| std::env::var(name).ok())?;
    if let Some(listen) = &arguments.listen {
        config.listen.clone_from(listen);
    }
    if let Some(database) = &arguments.database {
        config.ledger.database.clone_from(database);
    }
    if arguments.auth.is_none() {
        bail!(
            "authorization is not built yet: say --auth off, on a loopback address, if everybody who reaches it may do everything"
        );
    }
    on_loopback(&config.listen)?;
    config.speak.loopback = true;
    let mut gateway = Gateway::open(&config, Clock::running(), arguments.mappings.as_deref()).await?;
    gateway.start_beat();
    tracing::info!(address = %gateway.address, "ready");
    until_told().await?;
    tracing::info!("stopping");
    gateway.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Without authorization only this machine may reach the port.
pub(super) fn on_loopback(listen: &str) -> Result<()> {
    let mut addresses = listen.to_socket_addrs().with_context(|| format!("\"{listen}\" is no address and port"))?;
    if addresses.all(|address| address.ip().is_loopback()) {
        Ok(())
    } else {
        bail!("without authorization it serves only on a loopback address such as 127.0.0.1:8080, not on {listen}")
    }
}

/// Returns when the process is asked to end.
pub async fn until_told() -> Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result?,
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::on_loopback;

    #[test]
    fn without_authorization_only_loopback_is_served() {
        assert!(on_loopback("127.0.0.1:8080").is_ok() && on_loopback("[::1]:8080").is_ok());
        assert!(on_loopback("0.0.0.0:8080").is_err() && on_loopback("8080").is_err());
    }
}

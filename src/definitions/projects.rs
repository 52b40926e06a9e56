//! Data projects that the store keeps, beside the jobs from files.

use super::Definitions;
use super::names::title_flaw;
use crate::domain::job::{Job, Origin};
use crate::domain::project::Project;

impl Definitions {
    /// These definitions, and the projects as jobs. Files are the truth for jobs: a project whose name a file has taken is found by its
    /// id only, so that what waits for it is still worked on.
    #[must_use]
    pub fn with_projects(&self, projects: &[Project]) -> Self {
        let mut all = self.clone();
        all.jobs.retain(|job| job.origin == Origin::File);
        let files = all.jobs.len();
        for mut job in projects.iter().filter_map(Project::import_job) {
            if let Some(file) = all.jobs[..files].iter().find(|file| is_called(file, &job.name)) {
                tracing::warn!(
                    project = %job.name,
                    "a job from a file has the name of a data project in the store: packages for `{}` go to the file's job; \
                     `tranship jobs delete {}` deletes the project",
                    file.name,
                    job.id
                );
                job.name = format!("{} ({})", job.name, job.id);
            }
            all.jobs.push(job);
        }
        all.jobs.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// What is wrong with a name for a project, as a sentence without its subject.
    #[must_use]
    pub fn project_name_flaw(name: &str) -> Option<String> {
        title_flaw(name)
    }
}

fn is_called(job: &Job, name: &str) -> bool {
    job.name.to_lowercase() == name.to_lowercase()
}
